import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { ImageRecord } from '../api.js'
import type { ContentStore } from '../content/content.store.js'
import { parseConfig } from './config.js'
import { describeImage, formatManifest } from './describe-image.js'
import type { ImageStore } from './images.store.js'
import { type Descriptor, MEDIA_TYPES, parseManifest } from './manifest.js'

const PLAIN: ReadonlySet<string> = new Set([
  MEDIA_TYPES.ociLayer,
  'application/vnd.docker.image.rootfs.diff.tar',
])
/** Level 1 is four times as fast as the default for a twelfth more bytes. */
const LEVEL = 1

/**
 * Layers that were made or loaded here are kept as plain archives, because a commit or a load should cost no compression; they are compressed
 * when they are first sent somewhere. gzip, since every registry and every engine reads it. The image then has a new manifest with the
 * compressed blobs, and the plain ones are free to go: pushing it again compresses nothing.
 */
export async function compressLayers(
  deps: { readonly content: ContentStore; readonly store: ImageStore },
  image: ImageRecord,
  signal?: AbortSignal,
): Promise<ImageRecord> {
  const { content, store } = deps
  const manifest = parseManifest(content.read(image.manifestDigest), undefined)
  if (manifest.kind !== 'image' || !manifest.layers.some(isPlain)) return image
  const layers: Descriptor[] = []
  for (const layer of manifest.layers) layers.push(await compressed(content, layer, signal))
  const bytes = formatManifest(manifest.config, layers)
  const digest = await content.put(bytes)
  const described = describeImage(
    digest,
    { ...manifest, layers },
    parseConfig(content.read(manifest.config.digest)),
  )
  store.put(described.image, described.blobs)
  return store.get(image.id)
}

const isPlain = ({ mediaType }: Descriptor): boolean => PLAIN.has(mediaType)

/** The layer as it is sent: compressed, if it was not. */
export async function compressed(
  content: ContentStore,
  layer: Descriptor,
  signal?: AbortSignal,
): Promise<Descriptor> {
  if (!isPlain(layer)) return layer
  const gzip = createGzip({ level: LEVEL, chunkSize: 1 << 18 })
  // What breaks the pipeline breaks `stage`, which reads its end.
  pipeline(content.stream(layer.digest), gzip, { ...(signal ? { signal } : {}) }).catch(() => {})
  const staged = await content.stage(gzip as AsyncIterable<Buffer>)
  await content.commitStaged([staged])
  return { mediaType: MEDIA_TYPES.ociLayerGzip, digest: staged.digest, sizeBytes: staged.sizeBytes }
}
