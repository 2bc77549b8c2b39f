import { type Digest, isDigest } from '@berth/core'
import type { DamagedBlob, ImageRecord } from '../api.js'
import type { ContentStore } from '../content/content.store.js'
import type { Durability } from '../content/durability.store.js'
import { blobKey, layerKey, nameOf } from '../gc/mark.js'
import { chainIds, type LayerStore } from '../layers/layers.store.js'
import { unpackChain } from '../registry/pull.client.js'
import type { ImageStore } from './images.store.js'
import { parseManifest } from './manifest.js'

export interface CheckDeps {
  readonly content: ContentStore
  readonly layers: LayerStore
  readonly store: ImageStore
}

/**
 * Reads every blob of every image again. What is damaged is put aside, so that the next pull fetches it; what is missing, and layers whose
 * directory is gone, are reported by their blob.
 */
export async function checkContent(
  { content, layers, store }: CheckDeps,
  signal: AbortSignal | undefined,
): Promise<readonly DamagedBlob[]> {
  const damaged = new Set<Digest>(missingLayers({ content, layers, store }))
  const wanted = new Set([...content.list(), ...store.ids().flatMap((id) => store.blobsOf(id))])
  for (const digest of wanted) {
    if (content.has(digest) && (await content.isIntact(digest, signal))) continue
    content.putAside(digest)
    damaged.add(digest)
  }
  return [...damaged].map((digest) => ({ digest, images: namesOf(store, digest) }))
}

function namesOf(store: ImageStore, digest: Digest): readonly string[] {
  return store.usersOf(digest).flatMap((id) => {
    const { references } = store.get(id)
    return references.length > 0 ? references : [id]
  })
}

/**
 * After a power cut: blobs that may be torn are read again, and damaged ones put aside; layers that may be torn are unpacked again from their
 * blobs. An image whose blob is damaged too lacks the layer then, which its next pull or load brings back.
 */
export async function mendTorn(deps: CheckDeps & { readonly durability: Durability }): Promise<void> {
  const { content, layers, store, durability } = deps
  const torn = durability.distrusted()
  if (torn.length === 0) return
  for (const key of torn) {
    const name = nameOf(key)
    if (key === blobKey(name) && isDigest(name) && content.has(name) && !(await content.isIntact(name)))
      content.putAside(name)
    if (key === layerKey(name)) await layers.remove(name)
  }
  for (const image of store.list()) await unpackAgain(deps, image).catch(() => {})
  for (const key of torn) durability.forget(key)
}

async function unpackAgain({ content, layers }: CheckDeps, image: ImageRecord): Promise<void> {
  const chain = chainIds(image.diffIds)
  if (chain.every((chainId) => layers.find(chainId))) return
  const manifest = parseManifest(content.read(image.manifestDigest), undefined)
  if (manifest.kind !== 'image') return
  const ready = () => Promise.resolve()
  await unpackChain({ layers }, { layers: manifest.layers, diffIds: image.diffIds, ready })
}

/** The blobs of layers that have no directory any more. */
function missingLayers({ content, layers, store }: CheckDeps): readonly Digest[] {
  const gone = new Set(layers.missing())
  if (gone.size === 0) return []
  return store.list().flatMap((image) => {
    if (!content.has(image.manifestDigest)) return []
    const manifest = parseManifest(content.read(image.manifestDigest), undefined)
    const blobs = manifest.kind === 'image' ? manifest.layers : []
    return chainIds(image.diffIds).flatMap((chainId, index) => {
      const blob = blobs[index]
      return gone.has(chainId) && blob ? [blob.digest] : []
    })
  })
}
