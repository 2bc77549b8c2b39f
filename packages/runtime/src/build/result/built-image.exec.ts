import type { Digest } from '@berth/core'
import type { ImageRecord } from '../../api.js'
import type { ContentStore } from '../../content/content.store.js'
import { type ConfigFile, formatConfig, parseConfig } from '../../images/config.js'
import { describeImage, formatManifest } from '../../images/describe-image.js'
import type { ImageStore } from '../../images/images.store.js'
import type { Json } from '../../images/json.js'
import { MEDIA_TYPES } from '../../images/manifest.js'
import type { Tree } from './tree.js'

export interface StoreImageDeps {
  readonly content: ContentStore
  readonly store: ImageStore
}

/** Makes the image visible under its tags. `more` are members of its config beside what every image has. Idempotent. */
export async function storeBuiltImage(
  { content, store }: StoreImageDeps,
  file: ConfigFile,
  root: Tree,
  tags: readonly string[],
  more: Json = {},
): Promise<ImageRecord> {
  const bytes = formatConfig(file, more)
  const config = {
    mediaType: MEDIA_TYPES.ociConfig,
    digest: (await content.put(bytes)) as Digest,
    sizeBytes: bytes.length,
  }
  const layers = root.layers.map(({ blob }) => blob)
  const manifest = { kind: 'image', config, layers } as const
  const manifestDigest = await content.put(formatManifest(config, layers))
  const { image, blobs } = describeImage(manifestDigest, manifest, parseConfig(bytes))
  store.put(image, blobs, ...tags)
  return store.get(image.id)
}
