import { type Readable, Transform } from 'node:stream'
import type { Digest } from '@berth/core'
import type { PushOptions, RegistryAccess, TransferProgress } from '../api.js'
import type { ContentStore } from '../content/content.store.js'
import { type Descriptor, MEDIA_TYPES, parseManifest } from '../images/manifest.js'
import type { Reference } from '../images/reference.js'
import { RegistryClient } from './registry.client.js'

export interface PushDeps {
  readonly content: ContentStore
  readonly access: (host: string) => RegistryAccess | undefined
  /** Another repository of this registry that is known to have the blob. */
  readonly sourceOf: (digest: Digest, host: string) => string | undefined
}

const PARALLEL_BLOBS = 3

/** Sends what the registry lacks, the manifest last, so that a tag never names something incomplete. Idempotent. Gives the manifest's size. */
export async function pushImage(
  deps: PushDeps,
  manifestDigest: Digest,
  reference: Reference,
  options: PushOptions,
): Promise<number> {
  const client = new RegistryClient(reference.host, deps.access(reference.host), options.auth)
  try {
    const bytes = deps.content.read(manifestDigest)
    const manifest = parseManifest(bytes, undefined)
    if (manifest.kind === 'image')
      await pushBlobs(deps, client, reference.repository, manifest.layers, options)
    if (manifest.kind === 'image')
      await pushBlob(deps, client, reference.repository, manifest.config, 'config', options)
    const tag = reference.tag ?? manifestDigest
    await client.putManifest(reference.repository, tag, bytes, mediaTypeOf(bytes), options.signal)
    return bytes.length
  } finally {
    client.close()
  }
}

async function pushBlobs(
  deps: PushDeps,
  client: RegistryClient,
  repository: string,
  layers: readonly Descriptor[],
  options: PushOptions,
): Promise<void> {
  const unique = [...new Map(layers.map((layer) => [layer.digest, layer])).values()]
  const stop = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal
  let firstFailure: unknown
  const worker = async () => {
    for (let layer = unique.shift(); layer; layer = unique.shift())
      await pushBlob(deps, client, repository, layer, 'layer', { ...options, signal })
  }
  const fail = (error: unknown) => {
    firstFailure ??= error
    stop.abort()
  }
  await Promise.all(Array.from({ length: PARALLEL_BLOBS }, () => worker().catch(fail)))
  if (firstFailure !== undefined) throw firstFailure
}

async function pushBlob(
  deps: PushDeps,
  client: RegistryClient,
  repository: string,
  { digest, sizeBytes }: Descriptor,
  kind: TransferProgress['kind'],
  options: PushOptions,
): Promise<void> {
  let done = 0
  const report = (state: TransferProgress['state'], more: { retryInMs?: number } = {}) =>
    options.onProgress?.({ digest, kind, state, doneBytes: done, totalBytes: sizeBytes, ...more })
  report('waiting')
  const isThere = await client.hasBlob(repository, digest, options.signal)
  const open = (offset: number): Readable => {
    done = offset
    return counting(deps.content.stream(digest, offset), (count) => {
      done += count
      report('transferring')
    })
  }
  const result = isThere
    ? 'exists'
    : await client.putBlob({
        ...{ repository, digest, sizeBytes, open, signal: options.signal },
        mountFrom: deps.sourceOf(digest, client.host),
        onRetry: (retryInMs) => report('retrying', { retryInMs }),
      })
  done = sizeBytes
  report(result === 'sent' ? 'done' : result)
}

function counting(source: Readable, onBytes: (count: number) => void): Readable {
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      onBytes(chunk.length)
      next(null, chunk)
    },
  })
  source.on('error', (error) => meter.destroy(error))
  meter.on('close', () => source.destroy())
  return source.pipe(meter)
}

function mediaTypeOf(manifest: Buffer): string {
  const { mediaType } = JSON.parse(manifest.toString('utf8')) as { mediaType?: unknown }
  return typeof mediaType === 'string' ? mediaType : MEDIA_TYPES.ociManifest
}
