import { type Digest, fault, isDigest } from '@berth/core'
import { cleanPath } from '../layers/tar-entry.js'
import { isObject, parseJson } from './json.js'
import { DEFAULT_HOST, parseReference } from './reference.js'

/** What `manifest.json` of a docker archive says of one image; paths are cleaned and inside the archive. */
export interface DockerItem {
  readonly config: string
  readonly layers: readonly string[]
  readonly tags: readonly string[]
}
/** What `index.json` of an OCI layout says of one manifest or index. */
export interface OciItem {
  readonly digest: Digest
  readonly tags: readonly string[]
}

export const ARCHIVE_JSON_MAX_BYTES = 4 * 1024 * 1024
const IMAGES_MAX = 1_000
const LAYERS_MAX = 127
const TAGS_MAX = 1_000

export const invalidArchive = (why: string) =>
  fault.invalidArgument('archive.invalid', `the image archive is not valid: ${why}`)

/** A path of the archive, without `.` and `..`. @throws archive.invalid for one that climbs out or names nothing */
export function archivePath(text: unknown): string {
  if (typeof text !== 'string' || text.length > 1_000) throw invalidArchive('a path is not a string')
  if (text.startsWith('/')) throw invalidArchive(`the path ${JSON.stringify(text.slice(0, 100))} is absolute`)
  try {
    const path = cleanPath(text)
    if (path !== undefined) return path
  } catch {
    throw invalidArchive(`the path ${JSON.stringify(text.slice(0, 100))} leads out of it`)
  }
  throw invalidArchive('a path is empty')
}

/** @throws archive.invalid */
export function parseDockerItems(bytes: Uint8Array): readonly DockerItem[] {
  const wrapped = Buffer.concat([Buffer.from('{"items":'), bytes, Buffer.from('}')])
  const { items } = parseJson(wrapped, (why) => invalidArchive(`manifest.json: ${why}`))
  if (!Array.isArray(items) || items.length > IMAGES_MAX)
    throw invalidArchive(`manifest.json is not a list of at most ${IMAGES_MAX}`)
  return items.map((item: unknown) => {
    if (!isObject(item)) throw invalidArchive('manifest.json: an image is not an object')
    const layers = listOf(item.Layers, 'Layers', LAYERS_MAX)
    const tags = listOf(item.RepoTags, 'RepoTags', TAGS_MAX)
    return {
      config: archivePath(item.Config),
      layers: layers.map(archivePath),
      tags: tags.map((tag) => canonicalTag(tag)),
    }
  })
}

function listOf(value: unknown, name: string, max: number): readonly unknown[] {
  const found = value ?? []
  if (!Array.isArray(found) || found.length > max)
    throw invalidArchive(`${name} is not a list of at most ${max}`)
  return found
}

/** @throws archive.invalid */
function canonicalTag(text: unknown): string {
  if (typeof text !== 'string') throw invalidArchive('a tag is not a string')
  try {
    const { host, repository, tag } = parseReference(text)
    if (tag !== undefined) return `${host}/${repository}:${tag}`
  } catch {
    // Said below.
  }
  throw invalidArchive(`${JSON.stringify(text.slice(0, 100))} is not a name with a tag`)
}

const NAME_KEYS = ['io.containerd.image.name', 'org.opencontainers.image.ref.name']

/** @throws archive.invalid */
export function parseOciItems(bytes: Uint8Array): readonly OciItem[] {
  const json = parseJson(bytes, (why) => invalidArchive(`index.json: ${why}`))
  return listOf(json.manifests, 'manifests', IMAGES_MAX).map((entry) => {
    if (!isObject(entry) || typeof entry.digest !== 'string' || !isDigest(entry.digest))
      throw invalidArchive('index.json: a manifest has no sha256 digest')
    const annotations = isObject(entry.annotations) ? entry.annotations : {}
    const [name] = NAME_KEYS.map((key) => annotations[key]).filter((value) => typeof value === 'string')
    return { digest: entry.digest, tags: tagsOf(name) }
  })
}

/** The layout's `ref.name` may be a whole name, or a word that means something to its writer only. */
function tagsOf(name: string | undefined): readonly string[] {
  if (name === undefined || !/[/:]/.test(name)) return []
  return [canonicalTag(name)]
}

export const blobPath = (digest: Digest): string => `blobs/sha256/${digest.slice('sha256:'.length)}`

/** As docker shows it and older ones expect it in `RepoTags`. */
export function familiarName(canonicalName: string): string {
  const prefix = `${DEFAULT_HOST}/`
  if (!canonicalName.startsWith(prefix)) return canonicalName
  const rest = canonicalName.slice(prefix.length)
  return rest.startsWith('library/') && !rest.slice('library/'.length).includes('/')
    ? rest.slice('library/'.length)
    : rest
}

export interface SavedImage {
  readonly manifest: { readonly digest: Digest; readonly sizeBytes: number; readonly mediaType: string }
  readonly config: Digest
  readonly layers: readonly Digest[]
  readonly tags: readonly string[]
}

/** The documents beside the blobs: an OCI layout for everyone, docker's for docker and `docker-archive:`. */
export function layoutDocuments(images: readonly SavedImage[]): Readonly<Record<string, string>> {
  const manifests = images.flatMap(({ manifest, tags }) => {
    const entry = { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.sizeBytes }
    if (tags.length === 0) return [entry]
    return tags.map((tag) => ({
      ...entry,
      annotations: { 'io.containerd.image.name': tag, 'org.opencontainers.image.ref.name': tag },
    }))
  })
  const items = images.map(({ config, layers, tags }) => ({
    Config: blobPath(config),
    RepoTags: tags.map(familiarName),
    Layers: layers.map(blobPath),
  }))
  return {
    'oci-layout': JSON.stringify({ imageLayoutVersion: '1.0.0' }),
    'index.json': JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests,
    }),
    'manifest.json': JSON.stringify(items),
    repositories: JSON.stringify(repositories(images)),
  }
}

function repositories(images: readonly SavedImage[]): Record<string, Record<string, string>> {
  const found = new Map<string, Record<string, string>>()
  for (const { tags, layers } of images)
    for (const name of tags.map(familiarName)) {
      const colon = name.lastIndexOf(':')
      const top = layers.at(-1)?.slice('sha256:'.length) ?? ''
      found.set(name.slice(0, colon), { ...found.get(name.slice(0, colon)), [name.slice(colon + 1)]: top })
    }
  return Object.fromEntries(found)
}
