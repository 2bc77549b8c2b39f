import { type Digest, failpoint, fault } from '@berth/core'
import type { PullOptions, RegistryAccess, TransferProgress } from '../api.js'
import type { ContentStore } from '../content/content.store.js'
import type { StoredImage } from '../images/images.store.js'
import {
  type ConfigFile,
  type Descriptor,
  type ImageManifest,
  ociArchitecture,
  parseConfig,
  parseManifest,
  selectPlatform,
} from '../images/manifest.js'
import type { Reference } from '../images/reference.js'
import { chainIds, type Layer, type LayerStore } from '../layers/layers.store.js'
import { RegistryClient } from './registry.client.js'

interface PullDeps {
  readonly content: ContentStore
  readonly layers: LayerStore
  readonly access: (host: string) => RegistryAccess | undefined
}

export interface PulledImage {
  readonly image: StoredImage
  readonly blobs: readonly Digest[]
}

const PARALLEL_LAYERS = 3
const INDEX_DEPTH_MAX = 4

/** Fetches, verifies and unpacks an image; it becomes visible only when the caller stores what this returns. */
export async function pullImage(
  deps: PullDeps,
  reference: Reference,
  options: PullOptions,
): Promise<PulledImage> {
  const client = new RegistryClient(reference.host, deps.access(reference.host), options.auth as never)
  try {
    const resolved = await fetchManifest(deps, client, reference, options.signal)
    const configBytes = await fetchSmall(deps, client, reference, resolved.manifest.config, options)
    const config = parseConfig(configBytes)
    await fetchLayers(deps, client, reference, resolved.manifest, config, options)
    return describeImage(resolved.digest, resolved.manifest, config)
  } finally {
    client.close()
  }
}

export function describeImage(
  manifestDigest: Digest,
  manifest: ImageManifest,
  config: ConfigFile,
): PulledImage {
  const sizeBytes = manifest.layers.reduce((sum, layer) => sum + layer.sizeBytes, manifest.config.sizeBytes)
  const image: StoredImage = {
    id: manifest.config.digest,
    manifestDigest,
    sizeBytes,
    createdAt: config.createdAt,
    platform: { os: config.os, architecture: config.architecture, variant: '' },
    repositoryDigests: [],
    taggedAt: '',
    author: '',
    comment: '',
    config: config.config,
    diffIds: config.diffIds,
  }
  return {
    image,
    blobs: [manifestDigest, manifest.config.digest, ...manifest.layers.map((layer) => layer.digest)],
  }
}

async function fetchManifest(
  deps: PullDeps,
  client: RegistryClient,
  reference: Reference,
  signal: AbortSignal | undefined,
): Promise<{ digest: Digest; manifest: ImageManifest }> {
  let wanted: string = reference.digest ?? reference.tag ?? 'latest'
  for (let depth = 0; depth < INDEX_DEPTH_MAX; depth++) {
    const { bytes, contentType } = await client.getManifest(reference.repository, wanted, signal)
    const expected = wanted.startsWith('sha256:') ? { digest: wanted as Digest } : undefined
    const digest = await deps.content.put(bytes, expected)
    const parsed = parseManifest(bytes, contentType)
    if (parsed.kind === 'image') return { digest, manifest: parsed }
    wanted = selectPlatform(parsed, ociArchitecture(process.arch)).digest
  }
  throw fault.invalidArgument(
    'image.manifest_invalid',
    `the index of ${reference.repository} is nested more than ${INDEX_DEPTH_MAX} deep`,
  )
}

async function fetchSmall(
  deps: PullDeps,
  client: RegistryClient,
  reference: Reference,
  descriptor: Descriptor,
  options: PullOptions,
): Promise<Buffer> {
  await fetchBlob(deps, client, reference, descriptor, 'config', options)
  return deps.content.read(descriptor.digest)
}

async function fetchBlob(
  deps: PullDeps,
  client: RegistryClient,
  reference: Reference,
  descriptor: Descriptor,
  kind: TransferProgress['kind'],
  options: PullOptions,
): Promise<void> {
  const { digest, sizeBytes } = descriptor
  const report = (state: TransferProgress['state'], doneBytes: number) =>
    options.onProgress?.({ digest, kind, state, doneBytes, totalBytes: sizeBytes })
  if (deps.content.has(digest)) return report('exists', sizeBytes)
  let done = 0
  await deps.content.ingest(
    { digest, sizeBytes },
    client.getBlob(reference.repository, digest, sizeBytes, options.signal),
    (count) => {
      done += count
      report('transferring', done)
    },
  )
  await failpoint('pull.after_blob')
  report('done', sizeBytes)
}

async function fetchLayers(
  deps: PullDeps,
  client: RegistryClient,
  reference: Reference,
  manifest: ImageManifest,
  config: ConfigFile,
  options: PullOptions,
): Promise<void> {
  if (manifest.layers.length !== config.diffIds.length) {
    throw fault.invalidArgument(
      'image.manifest_invalid',
      `the manifest has ${manifest.layers.length} layers but the config has ${config.diffIds.length} diff_ids`,
    )
  }
  const fetched = manifest.layers.map(() => Promise.withResolvers<void>())
  for (const gate of fetched) gate.promise.catch(() => {})
  let next = 0
  const worker = async () => {
    for (let index = next++; index < manifest.layers.length; index = next++) {
      const layer = manifest.layers[index]
      if (!layer) return
      try {
        await fetchBlob(deps, client, reference, layer, 'layer', options)
        fetched[index]?.resolve()
      } catch (error) {
        fetched[index]?.reject(error)
        throw error
      }
    }
  }
  const workers = Array.from({ length: PARALLEL_LAYERS }, worker)
  const unpacked = unpackChain(deps, manifest.layers, config.diffIds, (index) => fetched[index]?.promise)
  const results = await Promise.allSettled([...workers, unpacked])
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

/** Unpacks from the bottom up, each layer as soon as its blob is there. */
export async function unpackChain(
  deps: Pick<PullDeps, 'layers'>,
  layers: readonly Descriptor[],
  diffIds: readonly Digest[],
  ready: (index: number) => Promise<void> | undefined,
): Promise<readonly Layer[]> {
  const chain = chainIds(diffIds)
  const done: Layer[] = []
  for (const [index, descriptor] of layers.entries()) {
    await ready(index)
    const diffId = diffIds[index]
    const chainId = chain[index]
    if (!diffId || !chainId) break
    done.push(await deps.layers.ensure(chainId, diffId, descriptor.digest, done))
    await failpoint('pull.after_layer')
  }
  return done
}
