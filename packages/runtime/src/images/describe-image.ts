import type { Digest } from '@berth/core'
import type { ConfigFile } from './config.js'
import type { StoredImage } from './images.store.js'
import { type Descriptor, type ImageManifest, MEDIA_TYPES } from './manifest.js'

export interface DescribedImage {
  readonly image: StoredImage
  /** Everything that must stay on this host for the image. */
  readonly blobs: readonly Digest[]
}

/** What is stored of an image, from its manifest and config. */
export function describeImage(
  manifestDigest: Digest,
  manifest: ImageManifest,
  config: ConfigFile,
): DescribedImage {
  const image: StoredImage = {
    id: manifest.config.digest,
    manifestDigest,
    createdAt: config.createdAt,
    author: config.author,
    comment: config.comment,
    platform: config.platform,
    config: config.config,
    diffIds: config.diffIds,
  }
  return {
    image,
    blobs: [manifestDigest, manifest.config.digest, ...manifest.layers.map((layer) => layer.digest)],
  }
}

const format = ({ mediaType, digest, sizeBytes }: Descriptor) => ({ mediaType, digest, size: sizeBytes })

/** An OCI manifest of these parts. */
export const formatManifest = (config: Descriptor, layers: readonly Descriptor[]): Buffer =>
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociManifest,
      config: format(config),
      layers: layers.map(format),
    }),
  )
