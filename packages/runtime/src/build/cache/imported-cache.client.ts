import { type Digest, Fault, type Logger } from '@berth/core'
import type { RegistryAuths } from '../../api.js'
import type { ContentStore } from '../../content/content.store.js'
import type { ImageStore } from '../../images/images.store.js'
import { parseManifest } from '../../images/manifest.js'
import { authFor } from '../../images/registry-auths.js'
import type { LayerStore } from '../../layers/layers.store.js'
import type { ImageParts } from '../../registry/image-parts.client.js'
import type { Tree } from '../result/tree.js'
import { onTopOf } from './cache.store.js'
import { type PortableRecord, parsePortable } from './portable-cache.js'

export interface ImportDeps {
  readonly content: ContentStore
  readonly layers: LayerStore
  readonly store: ImageStore
  readonly parts: ImageParts
  readonly logger: Logger
}

export interface ImportOptions {
  /** Images here or in a registry whose caches are read. */
  readonly references: readonly string[]
  readonly auths: RegistryAuths | undefined
  readonly signal: AbortSignal
  /** A cache that cannot be read is no reason not to build. */
  readonly warn: (message: string) => void
}

/** A build should not wait longer for what only saves it time. */
const READ_TIMEOUT_MS = 15_000

interface Found extends PortableRecord {
  readonly reference: string
}

/**
 * Steps that were performed elsewhere, for one build. They are believed by that build alone, which named their source, and are not written into
 * this host's own cache. Layers come only when a step asks for them.
 */
export class ImportedCache {
  private constructor(
    private readonly deps: ImportDeps,
    private readonly options: ImportOptions,
    private readonly records: ReadonlyMap<Digest, Found>,
  ) {}

  static async read(deps: ImportDeps, options: ImportOptions): Promise<ImportedCache> {
    const lists = await Promise.all(options.references.map((reference) => readOne(deps, options, reference)))
    // The first that was named wins.
    const records = new Map(
      lists
        .flat()
        .reverse()
        .map((record) => [record.key, record] as const),
    )
    return new ImportedCache(deps, options, records)
  }

  /** What the step gave, on top of `base`; undefined when it is not known or its layer cannot be had. @throws the signal's reason */
  async find(key: Digest, base: Tree, signal: AbortSignal): Promise<Tree | undefined> {
    const record = this.records.get(key)
    if (!record) return undefined
    const { layer, createdAtMs, reference } = record
    if (!layer) return { ...base, hasLayer: false, createdAtMs }
    const placed = onTopOf(base, { ...layer, chainId: '' })
    try {
      await this.place(placed, base, reference, signal)
    } catch (error) {
      signal.throwIfAborted()
      this.options.warn(`a layer of the cache of ${reference} cannot be had: ${Fault.from(error).message}`)
      return undefined
    }
    return { ...base, layers: [...base.layers, placed], hasLayer: true, createdAtMs }
  }

  /** Claimed first: what is there then stays as long as the build. */
  private async place(
    { chainId, diffId, blob }: Tree['layers'][number],
    base: Tree,
    reference: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { content, layers, parts } = this.deps
    layers.onTouch(chainId)
    content.onTouch(blob.digest)
    const auth = await authFor(this.options.auths, reference)
    if (!content.has(blob.digest)) await parts.blob(reference, blob, { auth, signal })
    const below = base.layers.flatMap((one) => layers.find(one.chainId) ?? [])
    await layers.ensure(chainId, diffId, blob.digest, below, signal)
  }
}

async function readOne(
  deps: ImportDeps,
  { auths, signal, warn }: ImportOptions,
  reference: string,
): Promise<readonly Found[]> {
  const { content, store, parts } = deps
  try {
    const here = store.find(reference)
    if (here) {
      const manifest = parseManifest(content.read(here.manifestDigest), undefined)
      const blobs = manifest.kind === 'image' ? manifest.layers : []
      return parsePortable(content.read(here.id), blobs).map((record) => ({ ...record, reference }))
    }
    const { manifest, config } = await parts.describe(reference, {
      auth: await authFor(auths, reference),
      signal: AbortSignal.any([signal, AbortSignal.timeout(READ_TIMEOUT_MS)]),
    })
    return parsePortable(config, manifest.layers).map((record) => ({ ...record, reference }))
  } catch (error) {
    signal.throwIfAborted()
    warn(`the cache of ${reference} cannot be read: ${Fault.from(error).message}`)
    return []
  }
}
