import { type Digest, Fault, failpoint } from '@berth/core'
import type { ImageRecord, PullOptions, PushOptions, RegistryAccess } from '../api.js'
import type { ContentStore } from '../content/content.store.js'
import type { LayerStore } from '../layers/layers.store.js'
import { pullImage } from '../registry/pull.client.js'
import { pushImage } from '../registry/push.client.js'
import type { ImageStore } from './images.store.js'
import { formatReference, parseReference } from './reference.js'

export interface TransferDeps {
  readonly content: ContentStore
  readonly layers: LayerStore
  readonly store: ImageStore
  readonly access: (host: string) => RegistryAccess | undefined
  /** Told once for each image that arrived, however many asked for it. */
  onPulled(reference: string): void
}

/** Images to and from registries; pulls of one image at the same time are one. */
export class ImageTransfers {
  private readonly pulls = new Map<string, Promise<ImageRecord>>()

  constructor(private readonly deps: TransferDeps) {}

  /** A caller whose shared work was cancelled by another one starts it again. */
  async pull(reference: string, options: PullOptions): Promise<ImageRecord> {
    const key = formatReference(parseReference(reference))
    for (let running = this.pulls.get(key); running; running = this.pulls.get(key)) {
      const image = await running.catch((error: unknown) => {
        if (!Fault.is(error, 'cancelled') || options.signal?.aborted) throw error
      })
      if (image) return image
    }
    const work = this.fetch(reference, options).finally(() => this.pulls.delete(key))
    this.pulls.set(key, work)
    return work
  }

  private async fetch(reference: string, options: PullOptions): Promise<ImageRecord> {
    const parsed = parseReference(reference)
    const { image, blobs } = await pullImage(this.deps, parsed, options)
    await failpoint('pull.before_commit')
    this.deps.store.put(image, blobs, formatReference(parsed))
    this.deps.onPulled(formatReference(parsed))
    return this.deps.store.get(image.id)
  }

  async push(reference: string, options: PushOptions): Promise<Digest> {
    return pushImage(this.deps, this.deps.store.get(reference), parseReference(reference), options)
  }
}
