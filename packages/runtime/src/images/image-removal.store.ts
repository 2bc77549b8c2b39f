import type { ImageRecord, RemovedImage } from '../api.js'
import type { Collector } from '../gc/collector.store.js'
import { blobKey, layerKey } from '../gc/mark.js'
import { chainIds } from '../layers/layers.store.js'
import type { LeaseStore } from '../leases/leases.store.js'
import type { ImageStore } from './images.store.js'
import {
  deletedOf,
  type ImageUser,
  isPrunable,
  namedBy,
  type PruneFilter,
  planRemoval,
} from './plan-removal.js'

export interface RemovalDeps {
  readonly store: ImageStore
  readonly collector: Collector
  readonly leases: LeaseStore
  /** Containers made from this image. */
  usersOf(imageId: string): readonly ImageUser[]
  announce(action: 'untag' | 'delete', image: ImageRecord): void
}

/** Takes a reference away, or the image. Idempotent. @throws image.in_use, image.has_references, image.ambiguous */
export async function removeImage(
  deps: RemovalDeps,
  referenceOrId: string,
  force: boolean,
): Promise<readonly RemovedImage[]> {
  const image = deps.store.find(referenceOrId)
  if (!image) return []
  const by = namedBy(referenceOrId, image)
  const removed = apply(
    deps,
    image,
    planRemoval({
      image,
      by,
      users: deps.usersOf(image.id),
      force,
      hasChildren: parents(deps).has(image.id),
    }),
  )
  if (!removed.some((one) => 'deleted' in one)) return removed
  const { layers } = await deps.collector.collect()
  const own = new Set(chainIds(image.diffIds))
  return [
    ...removed,
    ...layers
      .filter((chainId) => own.has(chainId))
      .reverse()
      .map(deletedOf),
  ]
}

/** Images that others were made from on this host. */
const parents = ({ store }: RemovalDeps): ReadonlySet<string | undefined> =>
  new Set(store.list().map(({ parentId }) => parentId))

function apply(deps: RemovalDeps, image: ImageRecord, plan: ReturnType<typeof planRemoval>): RemovedImage[] {
  const { store, announce, leases } = deps
  for (const name of plan.untag) {
    store.unpoint(name)
    announce('untag', image)
  }
  const removed: RemovedImage[] = plan.untag.map((untagged) => ({ untagged }))
  if (plan.image === 'keep') return removed
  // Work that began on top of it goes on.
  for (const digest of store.blobsOf(image.id)) leases.touch(blobKey(digest))
  for (const chainId of chainIds(image.diffIds)) leases.touch(layerKey(chainId))
  if (deps.usersOf(image.id).length > 0) store.hide(image.id)
  else store.remove(image.id)
  announce('delete', image)
  return [...removed, { deleted: image.id }]
}

/** Every image that fits the filter and that no container uses. */
export async function pruneImages(
  deps: RemovalDeps,
  filter: PruneFilter,
): Promise<{ readonly removed: readonly RemovedImage[]; readonly reclaimedBytes: number }> {
  const hasChildren = parents(deps)
  const going = deps.store
    .list()
    .filter(({ id }) => !hasChildren.has(id) && deps.usersOf(id).length === 0)
    .filter((image) => isPrunable(image, filter))
  const removed = going.flatMap((image) =>
    apply(deps, image, {
      untag: [...image.references, ...image.repositoryDigests],
      image: 'delete',
    }),
  )
  const { layers, reclaimedBytes } = await deps.collector.collect()
  return { removed: [...removed, ...layers.map(deletedOf)], reclaimedBytes }
}

/** Hidden images that no container needs any more. */
export function dropHidden(deps: Pick<RemovalDeps, 'store' | 'usersOf'>): void {
  for (const id of deps.store.hidden()) if (deps.usersOf(id).length === 0) deps.store.remove(id)
}
