import type { Digest } from '@berth/core'
import type { ContentStore } from '../../content/content.store.js'
import { compressed } from '../../images/compress.exec.js'
import { formatManifest } from '../../images/describe-image.js'
import { MEDIA_TYPES } from '../../images/manifest.js'
import type { Platform } from '../../images/platform.js'
import type { ImageParts, PartOptions } from '../../registry/image-parts.client.js'
import { formatCacheImage, type PortableRecord } from './portable-cache.js'

/**
 * Sends what a build's steps gave to a registry, as an image that is nothing but a cache; layers that lie there already are not sent again.
 * @throws as a push
 */
export async function exportCache(
  { content, parts }: { readonly content: ContentStore; readonly parts: ImageParts },
  reference: string,
  records: readonly PortableRecord[],
  platform: Platform,
  options: PartOptions,
): Promise<void> {
  const layers = [
    ...new Map(records.flatMap(({ layer }) => (layer ? [[layer.diffId, layer] as const] : []))).values(),
  ]
  const blobs = []
  for (const { blob } of layers) blobs.push(await compressed(content, blob, options.signal))
  const bytes = formatCacheImage(records, layers, platform)
  const digest = (await content.put(bytes)) as Digest
  const config = { mediaType: MEDIA_TYPES.ociConfig, digest, sizeBytes: bytes.length }
  await parts.push(reference, await content.put(formatManifest(config, blobs)), options)
}
