import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Digest, isDigest } from '@berth/core'
import type { ContentStore } from '../content/content.store.js'
import type { ImageStore } from '../images/images.store.js'
import { chainIds, type LayerStore } from '../layers/layers.store.js'
import type { LeaseStore } from '../leases/leases.store.js'
import type { SnapshotStore } from '../snapshots/snapshots.store.js'
import { blobKey, imageKey, type Key, layerKey, Marking, nameOf } from './mark.js'

export interface CollectorDeps {
  readonly content: ContentStore
  readonly layers: LayerStore
  readonly snapshots: SnapshotStore
  readonly store: ImageStore
  readonly leases: LeaseStore
}

export interface Collected {
  /** Chain ids of layers that went. */
  readonly layers: readonly string[]
  readonly blobs: readonly Digest[]
  readonly reclaimedBytes: number
}

const STEP = 500

/**
 * Takes the blobs and layers that no image, snapshot or lease leads to, while transfers, builds and containers go on. Each removal happens in
 * the same turn of the event loop as the look at its colour, so nobody can claim a thing in between.
 */
export class Collector {
  /** Of whoever keeps things beside images, snapshots and leases. */
  claims: () => readonly Key[] = () => []
  private marking: Marking | undefined
  private tail: Promise<unknown> = Promise.resolve()

  constructor(private readonly deps: CollectorDeps) {
    deps.leases.onClaim = (key) => this.marking?.shade(key)
    deps.store.onPut = (id) => this.marking?.shade(imageKey(id))
    deps.content.onTouch = (digest) => deps.leases.touch(blobKey(digest))
    deps.layers.onTouch = (chainId) => deps.leases.touch(layerKey(chainId))
  }

  /** One collection after the other: each sees everything its caller let go. */
  collect(): Promise<Collected> {
    const turn = this.tail.then(() => this.run())
    this.tail = turn.catch(() => {})
    return turn
  }

  private async run(): Promise<Collected> {
    const { content, layers } = this.deps
    const marking = new Marking([...content.list().map(blobKey), ...layers.list().map(layerKey)])
    this.marking = marking
    try {
      for (const root of this.roots()) marking.shade(root)
      return await this.sweep(marking)
    } finally {
      this.marking = undefined
    }
  }

  private roots(): readonly Key[] {
    const { store, leases, snapshots, layers } = this.deps
    const pinned = new Set(snapshots.list().flatMap((snapshot) => snapshot.layers))
    const below = layers.rows().filter(({ dir }) => pinned.has(dir))
    return [
      ...store.ids().map(imageKey),
      ...leases.claimed(),
      ...this.claims(),
      ...below.map(({ chainId }) => layerKey(chainId)),
    ]
  }

  private readonly edges = (key: Key): readonly Key[] => {
    if (!key.startsWith('image:')) return []
    const id = nameOf(key) as Digest
    return [
      ...this.deps.store.blobsOf(id).map(blobKey),
      ...chainIds(this.deps.store.diffIdsOf(id)).map(layerKey),
    ]
  }

  private async sweep(marking: Marking): Promise<Collected> {
    const gone = { layers: [] as string[], blobs: [] as Digest[], reclaimedBytes: 0 }
    const work: Promise<void>[] = []
    while (!marking.isDone) {
      if (marking.step(this.edges, STEP)) work.push(...this.sweepSome(marking, gone))
      await nextTurn()
    }
    await Promise.all(work)
    return gone
  }

  private sweepSome(
    marking: Marking,
    gone: { layers: string[]; blobs: Digest[]; reclaimedBytes: number },
  ): readonly Promise<void>[] {
    const { content, layers } = this.deps
    const work: Promise<void>[] = []
    for (let count = 0; count < STEP; count++) {
      const key = marking.takeWhite()
      if (key === undefined) break
      const name = nameOf(key)
      if (key.startsWith('layer:')) {
        gone.reclaimedBytes += layers.sizeOf(name)
        gone.layers.push(name)
        work.push(layers.remove(name))
      } else if (isDigest(name)) {
        gone.reclaimedBytes += content.size(name)
        gone.blobs.push(name)
        content.remove(name)
      }
    }
    return work
  }
}
