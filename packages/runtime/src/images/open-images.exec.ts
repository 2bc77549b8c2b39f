import { fault, type Logger, systemClock } from '@berth/core'
import type { DamagedBlob, DiskUsage, ImageAction, ImageRecord, Images, RegistryAccess } from '../api.js'
import { ContentStore } from '../content/content.store.js'
import { Durability } from '../content/durability.store.js'
import type { NewEvent } from '../event-log.js'
import { Collector } from '../gc/collector.store.js'
import type { Key } from '../gc/mark.js'
import { decompressed } from '../layers/decompress.js'
import { chainIds, type Layer, LayerStore } from '../layers/layers.store.js'
import { LeaseStore } from '../leases/leases.store.js'
import type { Metadata } from '../metadata.store.js'
import { listTags, loginToRegistry, searchRegistry } from '../registry/accounts.client.js'
import { type ImageParts, imageParts } from '../registry/image-parts.client.js'
import { SnapshotStore } from '../snapshots/snapshots.store.js'
import type { BaseImageOptions, LoadBaseImage } from './base-image.js'
import { checkContent, mendTorn } from './check.store.js'
import { parseConfig } from './config.js'
import { describeHistory } from './history.js'
import { dropHidden, pruneImages, type RemovalDeps, removeImage } from './image-removal.store.js'
import { ImageTransfers } from './image-transfers.client.js'
import { ImageStore } from './images.store.js'
import { type LoadDeps, loadImages } from './load.exec.js'
import { EMPTY_CONFIG, makeImage, type NewImage } from './make-image.exec.js'
import type { ImageUser } from './plan-removal.js'
import { fitsPlatform } from './platform.js'
import { formatReference, parseReference } from './reference.js'
import { saveImages } from './save.exec.js'
import { describeUsage } from './usage.js'

export interface ImagesDeps {
  readonly root: string
  readonly metadata: Metadata
  readonly logger: Logger
  readonly registries: Readonly<Record<string, RegistryAccess>>
  emit(event: NewEvent): void
  /** Containers that were made from this image. */
  usersOf(imageId: string): readonly ImageUser[]
}

export interface ImagesModule {
  readonly images: Images
  readonly snapshots: SnapshotStore
  /** The unpacked layers of an image, bottom up. @throws image.layer_missing */
  layersOf(image: ImageRecord): readonly Layer[]
  /** What builds work with. */
  readonly forBuilds: Pick<Parts, 'content' | 'layers' | 'store' | 'leases' | 'announce'> & {
    readonly image: LoadBaseImage
    readonly imageParts: ImageParts
  }
  /** What is kept beside images: asked at each collection. */
  keepAlso(claims: () => readonly Key[]): void
  /** An image from a parent, a layer and changes: what commit, import and build end with. */
  makeImage(image: NewImage): Promise<ImageRecord>
  /** The images' part of `Runtime.diskUsage`. */
  usage(): Pick<DiskUsage, 'images' | 'layersBytes'>
  /** Drops everything a crash left half-made, and mends what a power cut may have torn. */
  recover(): Promise<void>
  /** Takes what nothing needs any more, without stopping anybody. */
  collect(): Promise<void>
  /** Waits until what was written is on the disk. */
  close(): Promise<void>
}

interface Parts extends RemovalDeps, Omit<LoadDeps, 'announce'> {
  readonly durability: Durability
  readonly snapshots: SnapshotStore
  readonly transfers: ImageTransfers
  readonly access: (host: string) => RegistryAccess | undefined
  /** docker's actor: `name` is a reference, or the id where there is none. */
  announce(action: ImageAction, image: ImageRecord | undefined, name?: string): void
}

/** Composition of the image half. Nothing waits for anything here: leases keep from the collector what work counts on. */
export function openImages(deps: ImagesDeps): ImagesModule {
  const parts = compose(deps)
  const { content, layers, snapshots, store } = parts
  return {
    images: imagesOf(parts),
    snapshots,
    layersOf: (image) => layersOf(parts, image),
    forBuilds: {
      ...parts,
      image: (reference, options) => baseImage(parts, reference, options),
      imageParts: imageParts(parts),
    },
    keepAlso: (claims) => {
      parts.collector.claims = claims
    },
    makeImage: (image) => makeImage(parts, image),
    usage: () => describeUsage(store.list(), layers.rows(), (id) => deps.usersOf(id).length),
    recover: async () => {
      content.recover(systemClock.nowMs())
      layers.recover()
      snapshots.recover()
      await mendTorn(parts)
    },
    collect: async () => {
      dropHidden(parts)
      await parts.collector.collect()
    },
    close: () => parts.durability.settle(),
  }
}

function compose(deps: ImagesDeps): Parts {
  const durability = new Durability(deps.root, deps.metadata)
  const content = new ContentStore(deps.root, durability)
  const layers = new LayerStore(deps.root, deps.metadata, content, durability)
  const snapshots = new SnapshotStore(deps.root, deps.metadata)
  const store = new ImageStore(deps.metadata, () => new Date().toISOString())
  const leases = new LeaseStore(deps.metadata, systemClock.nowMs)
  const collector = new Collector({ content, layers, snapshots, store, leases })
  const access = (host: string) => deps.registries[host]
  const announce: Parts['announce'] = (action, image, name) =>
    deps.emit({
      kind: 'image',
      action,
      id: name !== undefined && (action === 'pull' || action === 'push') ? name : (image?.id ?? ''),
      attributes: { ...image?.config.labels, name: name ?? image?.id ?? '' },
    })
  const onPulled = (name: string, image: ImageRecord) => announce('pull', image, name)
  const transfers = new ImageTransfers({ content, layers, store, leases, access, onPulled })
  const { usersOf } = deps
  return {
    content,
    layers,
    durability,
    snapshots,
    store,
    leases,
    collector,
    access,
    announce,
    transfers,
    usersOf,
  }
}

function imagesOf(parts: Parts): Images {
  const { store, transfers, announce, access } = parts
  return {
    pull: (reference, options = {}) => transfers.pull(reference, options),
    push: async (reference, options = {}) => {
      const { digest, sizeBytes, imageId } = await transfers.push(reference, options)
      announce('push', store.find(imageId), formatReference(parseReference(reference)))
      return { digest, sizeBytes }
    },
    get: async (referenceOrId) => store.get(referenceOrId),
    find: async (referenceOrId) => store.find(referenceOrId),
    list: async () => store.list(),
    history: async (referenceOrId) => history(parts, store.get(referenceOrId)),
    tag: async (source, target) => tag(parts, source, target),
    remove: (referenceOrId, options) => removeImage(parts, referenceOrId, options?.force ?? false),
    prune: async (options = {}) => {
      dropHidden(parts)
      const pruned = await pruneImages(parts, options)
      announce('prune', undefined, String(pruned.reclaimedBytes))
      return pruned
    },
    save: (references, signal) => saveImages(parts, references, signal),
    load: (archive, options = {}) => loadImages(parts, archive, options),
    import: async (archive, options) => importImage(parts, archive, options),
    search: (term, options = {}) => searchRegistry(access, term, options),
    tags: (repository, options = {}) => listTags(access, repository, options),
    login: (auth) => loginToRegistry(access, auth),
    check: (signal) => check(parts, signal),
  }
}

function tag({ store, announce }: Parts, source: string, target: string): ImageRecord {
  const image = store.get(source)
  const { digest, ...named } = parseReference(target)
  if (digest !== undefined)
    throw fault.invalidArgument('image.reference_invalid', `a tag cannot be set by digest: ${target}`)
  const name = formatReference({ ...named, digest })
  store.point(name, image.id)
  announce('tag', image, name)
  return store.get(image.id)
}

function history({ content, layers }: Parts, image: ImageRecord) {
  const sizes = chainIds(image.diffIds).map((chainId) => layers.sizeOf(chainId))
  return describeHistory(image, parseConfig(content.read(image.id)), sizes)
}

async function importImage(
  parts: Parts,
  archive: AsyncIterable<Uint8Array>,
  { reference, comment, changes, signal }: Parameters<Images['import']>[1],
): Promise<ImageRecord> {
  const image = await makeImage(parts, {
    layer: decompressed(archive),
    config: EMPTY_CONFIG,
    comment: comment || 'Imported from -',
    createdAtMs: systemClock.nowMs(),
    ...(reference ? { reference } : {}),
    ...(changes ? { changes } : {}),
    ...(signal ? { signal } : {}),
  })
  parts.announce('import', image)
  return image
}

function check(parts: Parts, signal: AbortSignal | undefined): Promise<readonly DamagedBlob[]> {
  return parts.leases.working(() => checkContent(parts, signal))
}

/** A base image is pulled like any other. */
async function baseImage(
  { store, transfers }: Parts,
  reference: string,
  { platform, pull = false, auth, signal }: BaseImageOptions,
): Promise<ImageRecord> {
  const known = pull ? undefined : store.find(reference)
  const fits = known && (!platform || fitsPlatform(known.platform, platform, process.arch))
  return fits
    ? known
    : transfers.pull(reference, {
        signal,
        ...(platform ? { platform } : {}),
        ...(auth ? { auth } : {}),
      })
}

function layersOf({ layers }: Parts, image: ImageRecord): readonly Layer[] {
  return chainIds(image.diffIds).map((chainId) => {
    const layer = layers.find(chainId)
    if (!layer)
      throw fault.dataLoss(
        'image.layer_missing',
        `image ${image.id} lacks an unpacked layer on this host: pull it again`,
      )
    return layer
  })
}
