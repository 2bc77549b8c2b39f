import { type Digest, fault } from '@berth/core'
import type { ImageConfig, ImageRecord } from '../api.js'
import type { ContentStore, StagedBlob } from '../content/content.store.js'
import { chainIds, type LayerStore, type UnpackedLayer } from '../layers/layers.store.js'
import type { LeaseStore } from '../leases/leases.store.js'
import { applyChanges } from './changes.js'
import { type ConfigFile, EPOCH, formatConfig, parseConfig } from './config.js'
import { describeImage, formatManifest } from './describe-image.js'
import type { ImageStore } from './images.store.js'
import { type Descriptor, MEDIA_TYPES, parseManifest } from './manifest.js'
import { hostPlatform } from './platform.js'
import { canonical } from './reference.js'

export interface MakeImageDeps {
  readonly content: ContentStore
  readonly layers: LayerStore
  readonly store: ImageStore
  readonly leases: LeaseStore
}

export interface NewImage {
  readonly parent?: ImageRecord
  /** An uncompressed tar with OCI whiteouts, on top of the parent. */
  readonly layer?: AsyncIterable<Uint8Array>
  /** Replaces the parent's config before the changes. */
  readonly config?: ImageConfig
  readonly changes?: readonly string[]
  readonly author?: string
  readonly comment?: string
  readonly createdBy?: string
  readonly createdAtMs: number
  readonly reference?: string
  readonly signal?: AbortSignal
}

export const EMPTY_CONFIG: ImageConfig = parseConfig(Buffer.from('{}')).config

interface Layered {
  readonly staged: StagedBlob
  readonly unpacked: UnpackedLayer
}

/**
 * One image more: the parent's layers, one on top, a changed config. Nothing is visible before all of it is there, and nothing stays of a
 * failure. The layer's blob is the plain archive; a push compresses it.
 * @throws image.change_invalid, image.layer_invalid, image.reference_invalid, content.missing, host.disk_full
 */
export function makeImage(deps: MakeImageDeps, wish: NewImage): Promise<ImageRecord> {
  const reference = wish.reference ? canonical(wish.reference) : undefined
  const base = baseOf(deps, wish.parent)
  const config = applyChanges(wish.config ?? base.file.config, wish.changes ?? [])
  return deps.leases.working(async () => {
    for (const { digest } of base.layers) deps.content.onTouch(digest)
    for (const chainId of chainIds(base.file.diffIds)) deps.layers.onTouch(chainId)
    const layered = wish.layer ? await receive(deps, wish.layer, wish.signal) : undefined
    return store(deps, { ...wish, ...(reference ? { reference } : {}) }, base, config, layered)
  })
}

interface Base {
  readonly file: ConfigFile
  readonly layers: readonly Descriptor[]
}

function baseOf({ content }: MakeImageDeps, parent: ImageRecord | undefined): Base {
  if (!parent) {
    const file = { ...parseConfig(Buffer.from('{}')), platform: hostPlatform(process.arch) }
    return { file, layers: [] }
  }
  const manifest = parseManifest(content.read(parent.manifestDigest), undefined)
  const file = parseConfig(content.read(parent.id))
  return { file, layers: manifest.kind === 'image' ? manifest.layers : [] }
}

async function receive(
  { content, layers }: MakeImageDeps,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<Layered> {
  const staged = await content.stage(source)
  try {
    const unpacked = await layers.unpack(staged.path, signal ? { signal } : {})
    if (unpacked.diffId === staged.digest) return { staged, unpacked }
    await layers.discard(unpacked)
    throw fault.invalidArgument(
      'image.layer_invalid',
      'the layer is a compressed archive where a plain one is expected',
    )
  } catch (error) {
    content.discardStaged([staged])
    throw error
  }
}

async function store(
  deps: MakeImageDeps,
  wish: NewImage,
  base: Base,
  config: ImageConfig,
  layered: Layered | undefined,
): Promise<ImageRecord> {
  const { content, layers } = deps
  const file = fileOf(wish, base.file, config, layered?.staged.digest)
  const configBytes = formatConfig(file)
  if (layered) {
    await content.commitStaged([layered.staged])
    const chain = chainIds(file.diffIds)
    const parents = chain.slice(0, -1).flatMap((chainId) => layers.find(chainId) ?? [])
    await layers.adopt(layered.unpacked, chain.at(-1) ?? '', parents)
  }
  const configDigest = await content.put(configBytes)
  const top: readonly Descriptor[] = layered
    ? [
        {
          mediaType: MEDIA_TYPES.ociLayer,
          digest: layered.staged.digest,
          sizeBytes: layered.staged.sizeBytes,
        },
      ]
    : []
  const blob = { mediaType: MEDIA_TYPES.ociConfig, digest: configDigest, sizeBytes: configBytes.length }
  const manifest = { kind: 'image', config: blob, layers: [...base.layers, ...top] } as const
  const manifestDigest = await content.put(formatManifest(manifest.config, manifest.layers))
  const { image, blobs } = describeImage(manifestDigest, manifest, parseConfig(configBytes))
  const parentId = wish.parent?.id
  deps.store.put({ ...image, ...(parentId ? { parentId } : {}) }, blobs, wish.reference)
  return deps.store.get(image.id)
}

function fileOf(
  wish: NewImage,
  base: ConfigFile,
  config: ImageConfig,
  diffId: Digest | undefined,
): ConfigFile {
  const createdAt = Number.isFinite(wish.createdAtMs) ? new Date(wish.createdAtMs).toISOString() : EPOCH
  const entry = {
    createdAt,
    createdBy: wish.createdBy ?? '',
    author: wish.author ?? '',
    comment: wish.comment ?? '',
    isEmptyLayer: diffId === undefined,
  }
  return {
    platform: base.platform,
    createdAt,
    author: wish.author ?? '',
    comment: wish.comment ?? '',
    config,
    diffIds: diffId === undefined ? base.diffIds : [...base.diffIds, diffId],
    history: [...base.history, entry],
  }
}
