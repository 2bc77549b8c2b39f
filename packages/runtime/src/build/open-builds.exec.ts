import type { Logger } from '@berth/core'
import { systemClock } from '@berth/core'
import type { BuildCacheRecord, Builds, ImageRecord } from '../api.js'
import { CompiledFilters } from '../containers/compiled-filters.exec.js'
import type { ContentStore } from '../content/content.store.js'
import type { Key } from '../gc/mark.js'
import type { LoadBaseImage } from '../images/base-image.js'
import type { ImageStore } from '../images/images.store.js'
import type { LayerStore } from '../layers/layers.store.js'
import type { LeaseStore } from '../leases/leases.store.js'
import type { Metadata } from '../metadata.store.js'
import type { ImageParts } from '../registry/image-parts.client.js'
import { mountedBelow } from '../volumes/volume-mounts.exec.js'
import { Builder } from './builder.exec.js'
import { BuildCache } from './cache/cache.store.js'
import { Digests } from './cache/digests.store.js'
import { CacheMounts } from './cache/mounts.store.js'
import { planPrune } from './cache/plan-prune.js'
import { CacheRecords, type KeptRecord } from './cache/records.store.js'
import { Contexts } from './contexts.store.js'
import { ProvenanceStore } from './result/provenance.store.js'
import { SharedWork } from './solver/shared-work.js'
import { RemoteSources } from './sources/remote-sources.exec.js'
import { removeStraySteps, type StepNetwork } from './steps/run.exec.js'
import { Workers } from './steps/workers.exec.js'

export interface BuildsDeps {
  readonly root: string
  readonly runRoot: string
  readonly cgroupParent: string
  readonly ociRuntimePath: string
  readonly metadata: Metadata
  readonly logger: Logger
  readonly content: ContentStore
  readonly layers: LayerStore
  readonly store: ImageStore
  readonly leases: LeaseStore
  readonly network: StepNetwork
  readonly image: LoadBaseImage
  readonly imageParts: ImageParts
  announce(image: ImageRecord, name: string): void
  /** Takes away what nothing claims any more. */
  collect(): Promise<void>
  /** Of the build cache; the least recently used records go beyond it. */
  readonly cacheBytesMax: number
}

const NEVER = new AbortController().signal

/** After a build, in the background: what it used itself is the youngest. */
function keepBelow(
  prune: Builds['prune'],
  records: CacheRecords,
  { cacheBytesMax, logger }: BuildsDeps,
): void {
  if (records.totalBytes() <= cacheBytesMax) return
  prune({ keepBytes: cacheBytesMax }).catch((error: unknown) =>
    logger.warn({ error: String(error) }, 'pruning the build cache failed'),
  )
}

const cacheRecord = (record: KeptRecord, isInUse: boolean): BuildCacheRecord => ({
  id: record.key,
  ...{ kind: record.kind, description: record.description, sizeBytes: record.sizeBytes },
  ...{ createdAtMs: record.createdAtMs, usedAtMs: record.usedAtMs, uses: record.uses, isInUse },
})

export interface BuildsModule {
  readonly builder: Builder
  readonly builds: Builds
  /** Blobs and layers that the cache keeps. */
  claimed(): readonly Key[]
  cacheBytes(): number
  /** Takes away what a crash left. */
  recover(): Promise<void>
  close(): Promise<void>
}

/** Composition of the build half. */
export function openBuilds(deps: BuildsDeps): BuildsModule {
  const { root, runRoot, metadata, content, layers, store } = deps
  const { nowMs } = systemClock
  const records = new CacheRecords(metadata)
  const cache = new BuildCache({ records, content, layers })
  const workers = new Workers(`${runRoot}/view`)
  const provenance = new ProvenanceStore(metadata)
  const cacheMounts = new CacheMounts(root, metadata, nowMs)
  const contexts = new Contexts(root, workers)
  const sources = new RemoteSources(root, async (archive, directory, signal) => {
    await workers.ask({ op: 'unpack', archive, directory }, 'done', signal)
  })
  const prune: Builds['prune'] = async (wanted = {}) => {
    const gone = planPrune(records.list(), wanted, (key) => cache.isHeld(key))
    for (const { key } of gone) records.remove(key)
    await deps.collect()
    return {
      ids: gone.map(({ key }) => key),
      freedBytes: gone.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    }
  }
  const builder = new Builder({
    ...{ root, cgroupParent: deps.cgroupParent, content, layers, workers, cache, store, provenance, nowMs },
    leases: deps.leases,
    digests: new Digests(metadata, nowMs),
    shared: new SharedWork(),
    run: { ...deps, filters: new CompiledFilters(), cacheMounts },
    sources,
    image: deps.image,
    parts: deps.imageParts,
    logger: deps.logger,
    used: (keys) => {
      records.used(keys, nowMs())
      keepBelow(prune, records, deps)
    },
    announce: deps.announce,
  })
  return {
    builder,
    builds: {
      provenance: async (image) => provenance.find(store.get(image).id),
      openContext: (archive, signal = NEVER) => contexts.open(archive, signal),
      updateContext: (context, archive, removed, signal = NEVER) =>
        contexts.update(context, archive, removed, signal),
      openRemoteContext: (address, signal = NEVER) => sources.openContext(address, signal),
      cache: () => records.list().map((record) => cacheRecord(record, cache.isHeld(record.key))),
      prune,
    },
    claimed: () => cache.claimed(),
    cacheBytes: () => records.totalBytes(),
    recover: () => {
      contexts.recover()
      sources.recover()
      return removeStraySteps(deps, `${deps.cgroupParent}/builds`, mountedBelow)
    },
    close: () => workers.close(),
  }
}
