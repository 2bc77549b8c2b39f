import { type Digest, fault } from '@berth/core'
import type { ContentStore } from '../content/content.store.js'
import { chainIds, type LayerStore } from '../layers/layers.store.js'
import type { SnapshotStore } from '../snapshots/snapshots.store.js'
import type { ImageStore } from './images.store.js'
import { canonical } from './reference.js'

export interface RemovalDeps {
  readonly content: ContentStore
  readonly layers: LayerStore
  readonly snapshots: SnapshotStore
  readonly store: ImageStore
  /** Whether a container was made from this image. */
  isImageInUse(imageId: Digest): boolean
}

/** Takes a reference away, and the image with its last one; gives whether the image went. Idempotent. @throws image.in_use */
export function removeImage(deps: RemovalDeps, referenceOrId: string): boolean {
  const image = deps.store.find(referenceOrId)
  if (!image) return false
  const byId = referenceOrId.startsWith('sha256:')
  const others = byId ? [] : image.references.filter((name) => name !== canonical(referenceOrId))
  if (others.length > 0) {
    deps.store.unpoint(canonical(referenceOrId))
    return false
  }
  if (deps.isImageInUse(image.id))
    throw fault.failedPrecondition(
      'image.in_use',
      `image ${referenceOrId} is used by a container: remove the container first`,
    )
  deps.store.remove(image.id)
  sweep(deps)
  return true
}

/** What no image names any more goes: blobs, then layers. Snapshots pin the layers they stand on. */
function sweep({ content, layers, snapshots, store }: RemovalDeps): void {
  const blobs = store.blobsInUse()
  for (const digest of content.list()) if (!blobs.has(digest)) content.remove(digest)
  const pinned = new Set(snapshots.list().flatMap((snapshot) => snapshot.layers))
  const needed = new Set(store.list().flatMap((image) => chainIds(image.diffIds)))
  for (const chainId of layers.list()) {
    const layer = layers.find(chainId)
    if (layer && !needed.has(chainId) && !pinned.has(layer.dir)) layers.remove(chainId)
  }
}
