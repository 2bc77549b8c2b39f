import { fault, type Logger } from '@berth/core'
import type {
  BuildRequest,
  ImageRecord,
  Images,
  PullOptions,
  PushOptions,
  RegistryAccess,
  RuntimeEvent,
} from '../api.js'
import { buildImage } from '../build/build.exec.js'
import { ContentStore } from '../content/content.store.js'
import { chainIds, type Layer, LayerStore } from '../layers/layers.store.js'
import type { Metadata } from '../metadata.store.js'
import { pullImage } from '../registry/pull.client.js'
import { pushImage } from '../registry/push.client.js'
import { SnapshotStore } from '../snapshots/snapshots.store.js'
import { ImageStore } from './images.store.js'
import { canonical, formatReference, parseReference } from './reference.js'

export interface ImagesDeps {
  readonly root: string
  readonly metadata: Metadata
  readonly logger: Logger
  readonly registries: Readonly<Record<string, RegistryAccess>>
  emit(event: RuntimeEvent): void
  /** Whether a container was made from this image. */
  isImageInUse(imageId: string): boolean
}

export interface ImagesModule {
  readonly images: Images
  readonly snapshots: SnapshotStore
  /** The unpacked layers of an image, bottom up. @throws image.not_found */
  layersOf(image: ImageRecord): readonly Layer[]
  build(request: BuildRequest): Promise<ImageRecord>
  /** Drops everything a crash left half-made. */
  recover(): void
}

/** Composition of the image half. Removal and transfers exclude each other, so that a pull never loses a blob it counted on. */
export function openImages(deps: ImagesDeps): ImagesModule {
  const content = new ContentStore(deps.root)
  const layers = new LayerStore(deps.root, deps.metadata, content)
  const snapshots = new SnapshotStore(deps.root, deps.metadata)
  const store = new ImageStore(deps.metadata)
  const access = (host: string) => deps.registries[host]
  const transfers = new TransferGate()
  const pulls = new Map<string, Promise<ImageRecord>>()
  const emit = (action: Extract<RuntimeEvent, { kind: 'image' }>['action'], reference: string) =>
    deps.emit({ kind: 'image', action, reference, atMs: Date.now() })

  const pull = async (reference: string, options: PullOptions): Promise<ImageRecord> => {
    const parsed = parseReference(reference)
    const pulled = await transfers.shared(() =>
      pullImage({ content, layers, access }, parsed, options).then((result) => {
        store.put(result.image, result.blobs, formatReference(parsed))
        return result
      }),
    )
    emit('pulled', formatReference(parsed))
    return store.get(pulled.image.id)
  }

  const images: Images = {
    pull: (reference, options = {}) => {
      const key = canonical(reference)
      const running = pulls.get(key)
      if (running) return running
      const work = pull(reference, options).finally(() => pulls.delete(key))
      pulls.set(key, work)
      return work
    },
    push: async (reference, options: PushOptions = {}) => {
      const digest = await transfers.shared(() =>
        pushImage({ content, access }, store.get(reference), parseReference(reference), options),
      )
      emit('pushed', canonical(reference))
      return { digest }
    },
    get: async (referenceOrId) => store.get(referenceOrId),
    find: async (referenceOrId) => store.find(referenceOrId),
    list: async () => store.list(),
    tag: async (source, target) => {
      const image = store.get(source)
      store.point(canonical(target), image.id)
      emit('tagged', canonical(target))
      return store.get(image.id)
    },
    remove: (referenceOrId) => transfers.exclusive(async () => removeImage(referenceOrId)),
  }

  const removeImage = (referenceOrId: string): void => {
    const image = store.find(referenceOrId)
    if (!image) return
    const byId = referenceOrId.startsWith('sha256:')
    const others = byId ? [] : image.references.filter((name) => name !== canonical(referenceOrId))
    if (others.length > 0) return store.unpoint(canonical(referenceOrId))
    if (deps.isImageInUse(image.id))
      throw fault.failedPrecondition(
        'image.in_use',
        `image ${referenceOrId} is used by a container: remove the container first`,
      )
    store.remove(image.id)
    sweep()
    emit('removed', referenceOrId)
  }

  /** What no image names any more goes: blobs, then layers. Snapshots pin the layers they stand on. */
  const sweep = (): void => {
    const blobs = store.blobsInUse()
    for (const digest of content.list()) if (!blobs.has(digest)) content.remove(digest)
    const pinned = new Set(snapshots.list().flatMap((snapshot) => snapshot.layers))
    const needed = new Set(store.list().flatMap((image) => chainIds(image.diffIds)))
    for (const chainId of layers.list()) {
      const layer = layers.find(chainId)
      if (layer && !needed.has(chainId) && !pinned.has(layer.dir)) layers.remove(chainId)
    }
  }

  const layersOf = (image: ImageRecord): readonly Layer[] =>
    chainIds(image.diffIds).map((chainId) => {
      const layer = layers.find(chainId)
      if (!layer)
        throw fault.dataLoss(
          'image.layer_missing',
          `image ${image.id} lacks an unpacked layer on this host: pull it again`,
        )
      return layer
    })

  return {
    images,
    snapshots,
    layersOf,
    build: (request) =>
      transfers.shared(async () => {
        const image = await buildImage(
          { content, layers, store, layersOf, pull: (reference) => images.pull(reference) },
          request,
        )
        for (const tag of request.tags) emit('built', canonical(tag))
        return image
      }),
    recover: () => {
      content.recover()
      layers.recover()
      snapshots.recover()
    },
  }
}

/** Many transfers at once, or one removal alone. */
class TransferGate {
  private running = 0
  private tail: Promise<unknown> = Promise.resolve()
  private idle: (() => void)[] = []

  async shared<T>(work: () => Promise<T>): Promise<T> {
    await this.tail
    this.running += 1
    try {
      return await work()
    } finally {
      this.running -= 1
      if (this.running === 0) for (const wake of this.idle.splice(0)) wake()
    }
  }

  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.tail.then(async () => {
      while (this.running > 0) await new Promise<void>((resolve) => this.idle.push(resolve))
      return work()
    })
    this.tail = turn.catch(() => {})
    return turn
  }
}
