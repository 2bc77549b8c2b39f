import { type Digest, Fault, failpoint, fault } from '@berth/core'
import type { PullOptions, RegistryAccess, TransferProgress } from '../api.js'
import type { ContentStore } from '../content/content.store.js'
import { blobKey, layerKey } from '../gc/mark.js'
import { type ConfigFile, parseConfig } from '../images/config.js'
import { type DescribedImage, describeImage } from '../images/describe-image.js'
import {
  type Descriptor,
  type ImageManifest,
  parseManifest,
  platformMissing,
  selectPlatform,
} from '../images/manifest.js'
import { hostPlatform, type Platform, parsePlatform, platformRank } from '../images/platform.js'
import type { Reference } from '../images/reference.js'
import { chainIds, type Layer, type LayerStore } from '../layers/layers.store.js'
import type { Lease } from '../leases/leases.store.js'
import { RegistryClient } from './registry.client.js'

export interface PullDeps {
  readonly content: ContentStore
  readonly layers: LayerStore
  readonly access: (host: string) => RegistryAccess | undefined
}

export interface PulledImage extends DescribedImage {
  /** What the reference led to: of the index, when there is one. */
  readonly topDigest: Digest
}

const PARALLEL_LAYERS = 3
const INDEX_DEPTH_MAX = 4

interface Pull {
  readonly deps: PullDeps
  readonly reference: Reference
  readonly options: PullOptions
  readonly lease: Lease
  /** Mirrors first, the registry itself last. */
  readonly clients: readonly RegistryClient[]
}

/** Fetches, verifies and unpacks an image; it becomes visible only when the caller stores what this returns. */
export async function pullImage(
  deps: PullDeps,
  reference: Reference,
  options: PullOptions,
  lease: Lease,
): Promise<PulledImage> {
  const clients = clientsFor(reference.host, deps.access(reference.host), options)
  const pull: Pull = { deps, reference, options, lease, clients }
  try {
    const wanted = platformOf(options.platform)
    const { topDigest, digest, manifest } = await fetchManifest(pull, wanted)
    lease.add([manifest.config, ...manifest.layers].map((blob) => blobKey(blob.digest)))
    await fetchBlob(pull, manifest.config, 'config')
    const config = parseConfig(deps.content.read(manifest.config.digest))
    assertUsable(config, wanted, options.platform !== undefined)
    lease.add(chainIds(config.diffIds).map(layerKey))
    await fetchLayers(pull, manifest, config)
    return { ...describeImage(digest, manifest, config), topDigest }
  } finally {
    for (const client of clients) client.close()
  }
}

/** Manifest and config, without any layer. */
export async function pullDescription(
  deps: PullDeps,
  reference: Reference,
  options: PullOptions,
  lease: Lease,
): Promise<{ readonly manifest: ImageManifest; readonly config: Buffer }> {
  const clients = clientsFor(reference.host, deps.access(reference.host), options)
  const pull: Pull = { deps, reference, options, lease, clients }
  try {
    const { manifest } = await fetchManifest(pull, platformOf(options.platform))
    lease.add([blobKey(manifest.config.digest)])
    await fetchBlob(pull, manifest.config, 'config')
    return { manifest, config: deps.content.read(manifest.config.digest) }
  } finally {
    for (const client of clients) client.close()
  }
}

/** One layer's blob, verified and not unpacked. Idempotent. */
export async function pullBlob(
  deps: PullDeps,
  reference: Reference,
  descriptor: Descriptor,
  options: PullOptions,
  lease: Lease,
): Promise<void> {
  const clients = clientsFor(reference.host, deps.access(reference.host), options)
  lease.add([blobKey(descriptor.digest)])
  try {
    await fetchBlob({ deps, reference, options, lease, clients }, descriptor, 'layer')
  } finally {
    for (const client of clients) client.close()
  }
}

const platformOf = (text: string | undefined): Platform => {
  const host = hostPlatform(process.arch)
  return text === undefined ? host : parsePlatform(text, host)
}

/** Credentials are for the registry; a mirror is asked with what its own URL holds, which is nothing. */
function clientsFor(
  host: string,
  access: RegistryAccess | undefined,
  options: PullOptions,
): readonly RegistryClient[] {
  const { username: _, password: __, endpoint: ___, mirrors = [], ...rest } = access ?? {}
  const ofMirrors = mirrors.map(
    (endpoint) => new RegistryClient(new URL(endpoint).host, { ...rest, endpoint }),
  )
  return [...ofMirrors, new RegistryClient(host, access, options.auth)]
}

/** A single-platform image is taken as it is, unless a platform was asked for by name. */
function assertUsable({ platform }: ConfigFile, wanted: Platform, isExplicit: boolean): void {
  if (platform.os !== wanted.os || (isExplicit && platformRank(platform, wanted) === 0))
    throw platformMissing(wanted, [platform])
}

/** What the first of the sources can give. @throws as the last one */
async function fromAny<T>(pull: Pull, ask: (client: RegistryClient) => Promise<T>): Promise<T> {
  for (const [index, client] of pull.clients.entries()) {
    try {
      return await ask(client)
    } catch (error) {
      if (index === pull.clients.length - 1 || isCancelled(pull, error)) throw error
    }
  }
  throw fault.internal('registry.unreachable', `there is no source for ${pull.reference.host}`)
}

const isCancelled = ({ options }: Pull, error: unknown): boolean =>
  options.signal?.aborted === true || Fault.is(error, 'cancelled')

async function fetchManifest(
  pull: Pull,
  platform: Platform,
): Promise<{ topDigest: Digest; digest: Digest; manifest: ImageManifest }> {
  const { reference } = pull
  let wanted: string = reference.digest ?? reference.tag ?? 'latest'
  let topDigest: Digest | undefined
  for (let depth = 0; depth < INDEX_DEPTH_MAX; depth++) {
    const { digest, parsed } = await fetchOne(pull, wanted)
    topDigest ??= digest
    if (parsed.kind === 'image') return { topDigest, digest, manifest: parsed }
    wanted = selectPlatform(parsed, platform).digest
  }
  throw fault.invalidArgument(
    'image.manifest_invalid',
    `the index of ${reference.repository} is nested more than ${INDEX_DEPTH_MAX} deep`,
  )
}

function fetchOne({ deps, reference, options, lease, ...pull }: Pull, wanted: string) {
  const expected = wanted.startsWith('sha256:') ? { digest: wanted as Digest } : undefined
  return fromAny({ deps, reference, options, lease, ...pull }, async (client) => {
    const { bytes, contentType } = await client.getManifest(reference.repository, wanted, options.signal)
    const digest = await deps.content.put(bytes, expected)
    lease.add([blobKey(digest)])
    const parsed = parseManifest(bytes, contentType)
    options.onProgress?.({
      digest,
      kind: 'manifest',
      state: 'done',
      doneBytes: bytes.length,
      totalBytes: bytes.length,
    })
    return { digest, parsed }
  })
}

async function fetchBlob(pull: Pull, descriptor: Descriptor, kind: TransferProgress['kind']): Promise<void> {
  const { deps, options, reference } = pull
  const { digest, sizeBytes } = descriptor
  const report = (state: TransferProgress['state'], doneBytes: number, more: { retryInMs?: number } = {}) =>
    options.onProgress?.({ digest, kind, state, doneBytes, totalBytes: sizeBytes, ...more })
  if (deps.content.has(digest)) return report('exists', sizeBytes)
  report('waiting', 0)
  await fromAny(pull, (client) => {
    let done = 0
    const onRetry = (retryInMs: number) => report('retrying', done, { retryInMs })
    return deps.content.resume(
      { digest, sizeBytes },
      (offset) =>
        client.getBlob(reference.repository, { digest, sizeBytes, offset }, options.signal, onRetry),
      (count) => {
        done += count
        report('transferring', done)
      },
    )
  })
  await failpoint('pull.after_blob')
  report('done', sizeBytes)
}

async function fetchLayers(pull: Pull, manifest: ImageManifest, config: ConfigFile): Promise<void> {
  const { deps, options } = pull
  if (manifest.layers.length !== config.diffIds.length)
    throw fault.invalidArgument(
      'image.manifest_invalid',
      `the manifest has ${manifest.layers.length} layers but the config has ${config.diffIds.length} diff_ids`,
    )
  // The first failure ends the work for the other layers too: nobody waits for what cannot become an image.
  const stop = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal
  const inner: Pull = { ...pull, options: { ...options, signal } }
  const fetched = manifest.layers.map(() => Promise.withResolvers<void>())
  for (const gate of fetched) gate.promise.catch(() => {})
  let next = 0
  let firstFailure: unknown
  const fail = (error: unknown) => {
    firstFailure ??= error
    stop.abort()
    throw error
  }
  const worker = async () => {
    for (let index = next++; index < manifest.layers.length; index = next++) {
      const layer = manifest.layers[index]
      if (!layer) return
      await fetchBlob(inner, layer, 'layer').then(fetched[index]?.resolve, (error: unknown) => {
        fetched[index]?.reject(error)
        fail(error)
      })
    }
  }
  const onState = (blob: Descriptor, state: 'unpacking' | 'done') =>
    options.onProgress?.({
      digest: blob.digest,
      kind: 'layer',
      state,
      doneBytes: blob.sizeBytes,
      totalBytes: blob.sizeBytes,
    })
  const ready = (index: number) => fetched[index]?.promise
  const chain = { layers: manifest.layers, diffIds: config.diffIds, ready, signal, onState }
  await Promise.allSettled([
    ...Array.from({ length: PARALLEL_LAYERS }, () => worker().catch(() => {})),
    unpackChain(deps, chain).catch(fail),
  ])
  if (firstFailure !== undefined) throw firstFailure
}

export interface Chain {
  readonly layers: readonly Descriptor[]
  readonly diffIds: readonly Digest[]
  /** Resolves when the blob is there. */
  readonly ready: (index: number) => Promise<void> | undefined
  readonly signal?: AbortSignal
  readonly onState?: (blob: Descriptor, state: 'unpacking' | 'done') => void
}

/** Unpacks each layer as soon as its blob is there, as many at once as there are cores. */
export async function unpackChain(
  deps: Pick<PullDeps, 'layers'>,
  { layers, diffIds, ready, signal, onState }: Chain,
): Promise<readonly Layer[]> {
  const chain = chainIds(diffIds)
  const below: Promise<Layer>[] = []
  for (const [index, descriptor] of layers.entries()) {
    const parents = Promise.all([...below])
    parents.catch(() => {})
    const work = (async () => {
      await ready(index)
      const [chainId = '', diffId] = [chain[index], diffIds[index]]
      if (diffId === undefined) throw fault.internal('image.config_invalid', 'a layer has no diff id')
      if (!deps.layers.find(chainId)) onState?.(descriptor, 'unpacking')
      const layer = await deps.layers.ensure(chainId, diffId, descriptor.digest, parents, signal)
      await failpoint('pull.after_layer')
      onState?.(descriptor, 'done')
      return layer
    })()
    below.push(work)
  }
  const done = await Promise.allSettled(below)
  return done.map((result) => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
}
