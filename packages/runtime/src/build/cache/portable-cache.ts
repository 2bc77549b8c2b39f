import { type Digest, fault, isDigest } from '@berth/core'
import { type ConfigFile, EPOCH, formatConfig, parseConfig } from '../../images/config.js'
import { isObject, type Json, parseJson } from '../../images/json.js'
import type { Descriptor } from '../../images/manifest.js'
import type { Platform } from '../../images/platform.js'
import type { TreeLayer } from '../result/tree.js'

/** What a step gave, as it can be told to another host: its key, and a layer that lies in a registry. */
export interface PortableRecord {
  readonly key: Digest
  /** Undefined for one that changed nothing. */
  readonly layer: Pick<TreeLayer, 'diffId' | 'blob'> | undefined
  readonly createdAtMs: number
}

const MEMBER = 'berth.build.cache'
const VERSION = 1
const RECORDS_MAX = 10_000

interface ToldRecord {
  readonly key: Digest
  /** Null for a step that changed nothing. */
  readonly layer: number | null
  readonly createdAtMs: number
}

type CarriedLayer = Pick<TreeLayer, 'diffId'>

/**
 * Records as a member of an image's config, each naming its layer by its place among the image's own. Those whose layer is not among them are
 * left out. Inline: the image's layers are the build's own; otherwise the image is made for the cache and is all layers there are.
 */
export function formatPortable(records: readonly PortableRecord[], layers: readonly CarriedLayer[]): Json {
  const places = new Map(layers.map(({ diffId }, index) => [diffId, index]))
  const told = records.flatMap(({ key, layer, createdAtMs }): readonly ToldRecord[] => {
    if (!layer) return [{ key, layer: null, createdAtMs }]
    const place = places.get(layer.diffId)
    return place === undefined ? [] : [{ key, layer: place, createdAtMs }]
  })
  const unique = [...new Map(told.map((record) => [record.key, record])).values()]
  return { [MEMBER]: { version: VERSION, records: unique } }
}

/** An image that is nothing but a cache: its config, whose layers in their order are `layers`. */
export function formatCacheImage(
  records: readonly PortableRecord[],
  layers: readonly CarriedLayer[],
  platform: Platform,
): Buffer {
  const file: ConfigFile = {
    ...{ platform, createdAt: EPOCH, author: '', comment: '' },
    config: parseConfig(Buffer.from('{}')).config,
    diffIds: layers.map(({ diffId }) => diffId),
    history: [],
  }
  return formatConfig(file, formatPortable(records, layers))
}

/**
 * What an image's config says of steps; `blobs` are its manifest's layers. None for an image without a cache, or with one of another version.
 * @throws build.cache_invalid, image.config_invalid
 */
export function parsePortable(config: Uint8Array, blobs: readonly Descriptor[]): readonly PortableRecord[] {
  const cache = parseJson(config, invalid)[MEMBER]
  if (cache === undefined) return []
  if (!isObject(cache)) throw invalid('it is not an object')
  if (cache.version !== VERSION) return []
  const { records } = cache
  if (!Array.isArray(records) || records.length > RECORDS_MAX)
    throw invalid(`its records are not a list of at most ${RECORDS_MAX}`)
  const { diffIds } = parseConfig(config)
  return records.map((record: unknown) => {
    if (!isObject(record)) throw invalid('a record is not an object')
    const { key, layer, createdAtMs } = record
    if (typeof key !== 'string' || !isDigest(key)) throw invalid('a key is not a sha256 digest')
    if (typeof createdAtMs !== 'number' || !Number.isSafeInteger(createdAtMs) || createdAtMs < 0)
      throw invalid('a time is not a number of milliseconds')
    return { key, createdAtMs, layer: layer === null ? undefined : layerAt(layer, diffIds, blobs) }
  })
}

function layerAt(
  place: unknown,
  diffIds: readonly Digest[],
  blobs: readonly Descriptor[],
): PortableRecord['layer'] {
  const [diffId, blob] = typeof place === 'number' ? [diffIds[place], blobs[place]] : []
  if (diffId === undefined || blob === undefined) throw invalid('a record names a layer that is not there')
  return { diffId, blob }
}

const invalid = (why: string) =>
  fault.invalidArgument('build.cache_invalid', `the build cache of an image is not valid: ${why}`)
