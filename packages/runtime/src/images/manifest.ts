import { type Digest, fault, isDigest } from '@berth/core'
import type { ImageConfig } from '../api.js'

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
  readonly manifests: readonly (Descriptor & {
    readonly os: string
    readonly architecture: string
    readonly variant: string
  })[]
}
export interface ConfigFile {
  readonly os: string
  readonly architecture: string
  readonly createdAt: string
  readonly config: ImageConfig
  readonly diffIds: readonly Digest[]
}

export const MANIFEST_MAX_BYTES = 4 * 1024 * 1024
const LAYERS_MAX = 127
const MANIFESTS_MAX = 1_000

export const MEDIA_TYPES = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
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
const badConfig = (why: string) =>
  fault.invalidArgument('image.config_invalid', `the image config is not valid: ${why}`)

type Json = Readonly<Record<string, unknown>>
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function parseJson(bytes: Uint8Array, error: (why: string) => Error): Json {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw error('it is not JSON')
  }
  if (!isObject(value)) throw error('it is not an object')
  return value
}

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
    return {
      ...parseDescriptor(entry),
      os: text('os'),
      architecture: text('architecture'),
      variant: text('variant'),
    }
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

/** The entry for linux on this architecture. @throws image.platform_missing naming what there is */
export function selectPlatform(index: ImageIndex, architecture: string): Descriptor {
  const found = index.manifests.find((entry) => entry.os === 'linux' && entry.architecture === architecture)
  if (found) return found
  const known = index.manifests.map((entry) => `${entry.os}/${entry.architecture}`).join(', ')
  throw fault.notFound(
    'image.platform_missing',
    `the image has no variant for linux/${architecture}; it has ${known || 'none'}`,
  )
}

/** @throws image.config_invalid */
export function parseConfig(bytes: Uint8Array): ConfigFile {
  const json = parseJson(bytes, badConfig)
  const rootfs = isObject(json.rootfs) ? json.rootfs : {}
  const diffIds = Array.isArray(rootfs.diff_ids) ? rootfs.diff_ids : []
  if (!diffIds.every((id): id is Digest => typeof id === 'string' && isDigest(id)))
    throw badConfig('a diff_id is not a sha256 digest')
  if (json.config !== undefined && json.config !== null && !isObject(json.config))
    throw badConfig('config is not an object')
  return {
    os: typeof json.os === 'string' ? json.os : 'linux',
    architecture: typeof json.architecture === 'string' ? json.architecture : '',
    createdAt:
      typeof json.created === 'string' && !Number.isNaN(Date.parse(json.created))
        ? json.created
        : '1970-01-01T00:00:00Z',
    config: parseImageConfig(isObject(json.config) ? json.config : {}),
    diffIds,
  }
}

function parseImageConfig(json: Json): ImageConfig {
  const list = (key: string): readonly string[] => {
    const value = json[key] ?? []
    if (
      !Array.isArray(value) ||
      !value.every((item): item is string => typeof item === 'string' && !item.includes('\0'))
    ) {
      throw badConfig(`${key} is not a list of strings`)
    }
    return value
  }
  const text = (key: string): string => {
    const value = json[key] ?? ''
    if (typeof value !== 'string' || value.includes('\0')) throw badConfig(`${key} is not a string`)
    return value
  }
  const labels = json.Labels ?? {}
  if (!isObject(labels) || !Object.values(labels).every((value) => typeof value === 'string'))
    throw badConfig('Labels is not a map of strings')
  return {
    env: list('Env'),
    entrypoint: list('Entrypoint'),
    cmd: list('Cmd'),
    workdir: text('WorkingDir'),
    user: text('User'),
    exposedPorts: isObject(json.ExposedPorts) ? Object.keys(json.ExposedPorts) : [],
    labels: Object.fromEntries(Object.entries(labels as Record<string, string>)),
    stopSignal: text('StopSignal'),
    volumes: isObject(json.Volumes) ? Object.keys(json.Volumes) : [],
    health: undefined,
    shell: list('Shell'),
    onBuild: list('OnBuild'),
  }
}

/** What node calls x64, registries call amd64. */
export const ociArchitecture = (nodeArch: string): string =>
  ({ x64: 'amd64', ia32: '386' })[nodeArch] ?? nodeArch
