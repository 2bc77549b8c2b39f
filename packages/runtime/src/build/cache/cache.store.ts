import type { Digest } from '@berth/core'
import type { ContentStore } from '../../content/content.store.js'
import { blobKey, type Key, layerKey } from '../../gc/mark.js'
import { chainIds, type LayerStore } from '../../layers/layers.store.js'
import type { Tree, TreeLayer } from '../result/tree.js'
import type { CacheRecord, CacheRecords } from './records.store.js'

export interface CacheDeps {
  readonly records: CacheRecords
  readonly content: ContentStore
  readonly layers: LayerStore
}

/** The build cache as steps see it: a record counts only while its layer is on this host. */
export class BuildCache {
  /** Of builds that go on: such records are not pruned. */
  private readonly inUse = new Map<Digest, number>()

  constructor(private readonly deps: CacheDeps) {}

  /**
   * What a step with this key gave, on top of `base`. A record whose layer or blob is lost is dropped. `isLinked`: it may have been made on top
   * of something else, and is then unpacked once more.
   */
  async find(key: Digest, base: Tree, isLinked: boolean, signal: AbortSignal): Promise<Tree | undefined> {
    const record = this.deps.records.find(key)
    if (!record) return undefined
    const { layer, createdAtMs } = record
    if (!layer) return { ...base, hasLayer: false, createdAtMs }
    const placed = isLinked ? onTopOf(base, layer) : layer
    if (!(await this.isHere(placed, base, isLinked, signal))) {
      this.deps.records.remove(key)
      return undefined
    }
    return { ...base, layers: [...base.layers, placed], hasLayer: true, createdAtMs }
  }

  /** Claimed first: what is there then stays as long as the build. */
  private async isHere(
    layer: TreeLayer,
    base: Tree,
    isLinked: boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { layers, content } = this.deps
    layers.onTouch(layer.chainId)
    content.onTouch(layer.blob.digest)
    if (!content.has(layer.blob.digest)) return false
    if (layers.find(layer.chainId)) return true
    if (!isLinked) return false
    const below = base.layers.flatMap(({ chainId }) => layers.find(chainId) ?? [])
    await layers.ensure(layer.chainId, layer.diffId, layer.blob.digest, below, signal)
    return true
  }

  put(record: CacheRecord, sizeBytes: number): void {
    this.deps.records.put(record, sizeBytes)
  }

  /** Keeps records from being pruned until the returned function is called. */
  hold(key: Digest): () => void {
    this.inUse.set(key, (this.inUse.get(key) ?? 0) + 1)
    return () => {
      const count = (this.inUse.get(key) ?? 1) - 1
      if (count > 0) this.inUse.set(key, count)
      else this.inUse.delete(key)
    }
  }

  isHeld(key: Digest): boolean {
    return this.inUse.has(key)
  }

  /** What the collector must leave. */
  claimed(): readonly Key[] {
    return this.deps.records
      .list()
      .flatMap(({ layer }) => (layer ? [layerKey(layer.chainId), blobKey(layer.blob.digest)] : []))
  }
}

/** The same layer above another file system. */
export function onTopOf(base: Tree, layer: TreeLayer): TreeLayer {
  const chain = chainIds([...base.layers.map(({ diffId }) => diffId), layer.diffId])
  return { ...layer, chainId: chain.at(-1) ?? layer.chainId }
}
