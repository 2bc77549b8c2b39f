import { type Digest, fault, isDigest } from '@berth/core'
import { isObject, type Json, parseJson } from './json.js'
import { formatPlatform, type Platform, platformRank } from './platform.js'

/** Exact types of what registries serve; everything in them is attacker input until it has been through here. */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly sizeBytes: number
}
export interface ImageManifest {
  readonly kind: 'image'
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
}
export interface ImageIndex {
  readonly kind: 'index'
  readonly manifests: readonly (Descriptor & { readonly platform: Platform })[]
}
export const MANIFEST_MAX_BYTES = 4 * 1024 * 1024
const LAYERS_MAX = 127
const MANIFESTS_MAX = 1_000

export const MEDIA_TYPES = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
} as const
export const MANIFEST_ACCEPT = [
  MEDIA_TYPES.ociManifest,
  MEDIA_TYPES.ociIndex,
  MEDIA_TYPES.dockerManifest,
  MEDIA_TYPES.dockerList,
].join(', ')

const bad = (why: string) =>
  fault.invalidArgument('image.manifest_invalid', `the image manifest is not valid: ${why}`)

/** @throws image.manifest_invalid; CVE-2021-41190: a document that could be read both as manifest and as index is refused */
export function parseManifest(
  bytes: Uint8Array,
  contentType: string | undefined,
): ImageManifest | ImageIndex {
  if (bytes.length > MANIFEST_MAX_BYTES) throw bad('it is larger than 4 MiB')
  const json = parseJson(bytes, bad)
  const declared = json.mediaType
  if (declared !== undefined && typeof declared !== 'string') throw bad('mediaType is not a string')
  const served = contentType?.split(';')[0]?.trim()
  if (declared !== undefined && served?.includes('+json') && declared !== served)
    throw bad(`mediaType ${declared} was served as ${served}`)
  const hasIndexKeys = 'manifests' in json
  const hasImageKeys = 'layers' in json || 'config' in json
  if (hasIndexKeys && hasImageKeys) throw bad('it has both manifests and layers')
  if (json.schemaVersion !== 2) throw bad('schemaVersion is not 2')
  return hasIndexKeys ? parseIndex(json) : parseImage(json)
}

function parseImage(json: Json): ImageManifest {
  if (!Array.isArray(json.layers) || json.layers.length > LAYERS_MAX)
    throw bad(`layers is not a list of at most ${LAYERS_MAX}`)
  return { kind: 'image', config: parseDescriptor(json.config), layers: json.layers.map(parseDescriptor) }
}

function parseIndex(json: Json): ImageIndex {
  if (!Array.isArray(json.manifests) || json.manifests.length > MANIFESTS_MAX)
    throw bad(`manifests is not a list of at most ${MANIFESTS_MAX}`)
  const manifests = json.manifests.map((entry: unknown) => {
    const platform = isObject(entry) && isObject(entry.platform) ? entry.platform : {}
    const text = (key: string) => (typeof platform[key] === 'string' ? platform[key] : '')
    const [os, architecture, variant] = [text('os'), text('architecture'), text('variant')]
    return { ...parseDescriptor(entry), platform: { os, architecture, variant } }
  })
  return { kind: 'index', manifests }
}

function parseDescriptor(value: unknown): Descriptor {
  if (!isObject(value)) throw bad('a descriptor is not an object')
  const { mediaType, digest, size } = value
  if (typeof mediaType !== 'string') throw bad('a descriptor has no mediaType')
  if (typeof digest !== 'string' || !isDigest(digest)) throw bad('a descriptor has no sha256 digest')
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw bad('a descriptor has no valid size')
  return { mediaType, digest, sizeBytes: size }
}

/** The entry that suits the platform best; entries without a platform suit any when there is nothing better. @throws image.platform_missing naming what there is */
export function selectPlatform(index: ImageIndex, wanted: Platform): Descriptor {
  const ranked = index.manifests
    .map((entry) => ({ entry, rank: platformRank(entry.platform, wanted) }))
    .filter(({ rank }) => rank > 0)
    .sort((a, b) => b.rank - a.rank)
  const anyPlatform = index.manifests.find(
    ({ platform }) => platform.os === '' && platform.architecture === '',
  )
  const found = ranked[0]?.entry ?? anyPlatform
  if (found) return found
  throw platformMissing(
    wanted,
    index.manifests.map(({ platform }) => platform),
  )
}

export function platformMissing(wanted: Platform, there: readonly Platform[]) {
  const known = there.filter(({ os }) => os !== 'unknown').map(formatPlatform)
  return fault.notFound(
    'image.platform_missing',
    `the image has no variant for ${formatPlatform(wanted)}; it has ${[...new Set(known)].join(', ') || 'none'}`,
  )
}
