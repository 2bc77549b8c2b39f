import { fault, type Logger } from '@berth/core'
import type { BuildRequest, ImageAction, ImageRecord, Images, RegistryAccess } from '../api.js'
import { buildImage } from '../build/build.exec.js'
import { ContentStore } from '../content/content.store.js'
import type { NewEvent } from '../event-log.js'
import { chainIds, type Layer, LayerStore } from '../layers/layers.store.js'
import type { Metadata } from '../metadata.store.js'
import { SnapshotStore } from '../snapshots/snapshots.store.js'
import { unbuilt } from '../unbuilt.js'
import { type RemovalDeps, removeImage } from './image-removal.store.js'
import { ImageTransfers } from './image-transfers.client.js'
import { ImageStore } from './images.store.js'
import { canonical } from './reference.js'
import { TransferGate } from './transfer-gate.js'

export interface ImagesDeps {
  readonly root: string
  readonly metadata: Metadata
  readonly logger: Logger
  readonly registries: Readonly<Record<string, RegistryAccess>>
  emit(event: NewEvent): void
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

interface Parts extends RemovalDeps {
  readonly gate: TransferGate
  readonly transfers: ImageTransfers
  announce(action: ImageAction, reference: string): void
}

/** Composition of the image half. Removal and transfers exclude each other, so that a pull never loses a blob it counted on. */
export function openImages(deps: ImagesDeps): ImagesModule {
  const content = new ContentStore(deps.root)
  const layers = new LayerStore(deps.root, deps.metadata, content)
  const snapshots = new SnapshotStore(deps.root, deps.metadata)
  const store = new ImageStore(deps.metadata)
  const access = (host: string) => deps.registries[host]
  const announce: Parts['announce'] = (action, reference) =>
    deps.emit({ kind: 'image', action, id: reference, attributes: { name: reference } })
  const onPulled = (reference: string) => announce('pull', reference)
  const parts: Parts = {
    ...{ content, layers, snapshots, store, announce },
    gate: new TransferGate(),
    transfers: new ImageTransfers({ content, layers, store, access, onPulled }),
    isImageInUse: deps.isImageInUse,
  }
  return {
    images: imagesOf(parts),
    snapshots,
    layersOf: (image) => layersOf(layers, image),
    build: (request) => parts.gate.shared(() => build(parts, request)),
    recover: () => {
      content.recover()
      layers.recover()
      snapshots.recover()
    },
  }
}

function imagesOf(parts: Parts): Images {
  const { store, gate, transfers, announce } = parts
  return {
    pull: (reference, options = {}) => gate.shared(() => transfers.pull(reference, options)),
    push: async (reference, options = {}) => {
      const digest = await gate.shared(() => transfers.push(reference, options))
      announce('push', canonical(reference))
      return { digest, sizeBytes: 0 }
    },
    get: async (referenceOrId) => store.get(referenceOrId),
    find: async (referenceOrId) => store.find(referenceOrId),
    list: async () => store.list(),
    tag: async (source, target) => {
      const image = store.get(source)
      store.point(canonical(target), image.id)
      announce('tag', canonical(target))
      return store.get(image.id)
    },
    remove: (referenceOrId) =>
      gate.exclusive(async () => {
        if (removeImage(parts, referenceOrId)) announce('delete', referenceOrId)
        return []
      }),
    history: unbuilt('images.history'),
    prune: unbuilt('images.prune'),
    save: unbuilt('images.save'),
    load: unbuilt('images.load'),
    import: unbuilt('images.import'),
    search: unbuilt('images.search'),
    login: unbuilt('images.login'),
    check: unbuilt('images.check'),
  }
}

/** Runs inside the gate, so a base image is pulled without entering it again. */
async function build(parts: Parts, request: BuildRequest): Promise<ImageRecord> {
  const { content, layers, store, transfers, announce } = parts
  const pull = (reference: string) =>
    transfers.pull(reference, request.signal ? { signal: request.signal } : {})
  const image = await buildImage(
    { content, layers, store, layersOf: (base) => layersOf(layers, base), pull },
    request,
  )
  for (const tag of request.tags) announce('build', canonical(tag))
  return image
}

function layersOf(layers: LayerStore, image: ImageRecord): readonly Layer[] {
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
