import { Fault, failpoint, fault } from '@berth/core'
import type { ImageRecord, PullOptions, PushOptions, TransferProgress } from '../api.js'
import type { LeaseStore } from '../leases/leases.store.js'
import { type PullDeps, pullImage } from '../registry/pull.client.js'
import { pushImage } from '../registry/push.client.js'
import { compressLayers } from './compress.exec.js'
import { digestName, type ImageStore } from './images.store.js'
import { formatReference, parseReference, type Reference } from './reference.js'

export interface TransferDeps extends PullDeps {
  readonly store: ImageStore
  readonly leases: LeaseStore
  /** Told once for each image that arrived, however many asked for it. */
  onPulled(reference: string, image: ImageRecord): void
}

interface SharedPull {
  readonly work: Promise<ImageRecord>
  readonly listeners: Set<(progress: TransferProgress) => void>
}

/** Images to and from registries; pulls of one image for one platform at the same time are one. */
export class ImageTransfers {
  private readonly pulls = new Map<string, SharedPull>()

  constructor(private readonly deps: TransferDeps) {}

  /** A caller whose shared work was cancelled by another one starts it again. */
  async pull(text: string, options: PullOptions): Promise<ImageRecord> {
    const reference = parseReference(text)
    const key = `${formatReference(reference)} ${options.platform ?? ''}`
    for (let running = this.pulls.get(key); running; running = this.pulls.get(key)) {
      const image = await this.follow(running, options)
      if (image) return image
    }
    const listeners = new Set(options.onProgress ? [options.onProgress] : [])
    const onProgress = (progress: TransferProgress) => {
      for (const listener of listeners) listener(progress)
    }
    const work = this.fetch(reference, { ...options, onProgress }).finally(() => this.pulls.delete(key))
    this.pulls.set(key, { work, listeners })
    return work
  }

  /** Undefined when the one who began it gave up. */
  private async follow(running: SharedPull, options: PullOptions): Promise<ImageRecord | undefined> {
    if (options.onProgress) running.listeners.add(options.onProgress)
    const own = Promise.withResolvers<never>()
    const give = () => own.reject(fault.cancelled('cancelled', 'the pull was cancelled'))
    options.signal?.addEventListener('abort', give, { once: true })
    if (options.signal?.aborted) give()
    try {
      return await Promise.race([running.work, own.promise])
    } catch (error) {
      if (!Fault.is(error, 'cancelled') || options.signal?.aborted) throw error
      return undefined
    } finally {
      options.signal?.removeEventListener('abort', give)
      if (options.onProgress) running.listeners.delete(options.onProgress)
    }
  }

  /** The claim of a pull that broke off stays, so that the next one finds what arrived; bytes that lie are not kept. */
  private async fetch(reference: Reference, options: PullOptions): Promise<ImageRecord> {
    const { store, leases } = this.deps
    const lease = leases.take()
    try {
      const { image, blobs, topDigest } = await pullImage(this.deps, reference, options, lease)
      await failpoint('pull.before_commit')
      const tag = reference.digest === undefined ? formatReference(reference) : undefined
      store.put(image, blobs, tag, digestName(reference, topDigest))
      store.rememberSource(blobs, reference.host, reference.repository)
      lease.release()
      const pulled = store.get(image.id)
      this.deps.onPulled(formatReference(reference), pulled)
      return pulled
    } catch (error) {
      const failure = this.faultOf(error, options)
      if (failure.retryable || failure.kind === 'cancelled') lease.leave()
      else lease.release()
      throw failure
    }
  }

  private faultOf(error: unknown, options: PullOptions): Fault {
    return options.signal?.aborted && !Fault.is(error, 'cancelled')
      ? fault.cancelled('cancelled', 'the pull was cancelled', { cause: error })
      : Fault.from(error)
  }

  async push(text: string, options: PushOptions) {
    const { store, leases } = this.deps
    const reference = parseReference(text)
    return leases.working(async () => {
      const found = store.get(text)
      for (const digest of store.blobsOf(found.id)) this.deps.content.onTouch(digest)
      const { manifestDigest: digest } = await compressLayers(this.deps, found, options.signal)
      const sourceOf: ImageStore['sourceOf'] = (blob, host) => store.sourceOf(blob, host)
      const sizeBytes = await pushImage({ ...this.deps, sourceOf }, digest, reference, options)
      if (store.find(found.id)) store.point(digestName(reference, digest), found.id)
      store.rememberSource(store.blobsOf(found.id), reference.host, reference.repository)
      return { digest, sizeBytes, imageId: found.id }
    })
  }
}
