import { pipeline } from 'node:stream/promises'
import { type Digest, fault } from '@berth/core'
import { pack } from 'tar-stream'
import type { ImageRecord } from '../api.js'
import type { ContentStore } from '../content/content.store.js'
import type { LeaseStore } from '../leases/leases.store.js'
import { blobPath, layoutDocuments, type SavedImage } from './archive-layout.js'
import type { ImageStore } from './images.store.js'
import { MEDIA_TYPES, parseManifest } from './manifest.js'
import { namedBy } from './plan-removal.js'
import { parseReference, repositoryOf } from './reference.js'

export interface SaveDeps {
  readonly content: ContentStore
  readonly store: ImageStore
  readonly leases: LeaseStore
  announce(action: 'save', image: ImageRecord): void
}

type Archive = ReturnType<typeof pack>

/** A name gives its image with that tag, a repository all of its tags, an id the image without a name. @throws image.not_found, content.missing */
export async function saveImages(
  deps: SaveDeps,
  references: readonly string[],
  signal: AbortSignal | undefined,
): Promise<AsyncIterable<Uint8Array>> {
  const wanted = new Map<Digest, { image: ImageRecord; tags: Set<string> }>()
  for (const reference of references)
    for (const [image, tag] of select(deps.store, reference)) {
      const entry = wanted.get(image.id) ?? { image, tags: new Set<string>() }
      if (tag) entry.tags.add(tag)
      wanted.set(image.id, entry)
    }
  const images = [...wanted.values()].map(({ image, tags }) => describe(deps.content, image, [...tags]))
  for (const { image } of wanted.values()) deps.announce('save', image)
  return stream(deps, images, signal)
}

function select(store: ImageStore, text: string): readonly (readonly [ImageRecord, string | undefined])[] {
  if (isRepository(text)) {
    const repository = repositoryOf(text)
    const tagged = store
      .list()
      .flatMap((image) => image.references.map((name) => [image, name] as const))
      .filter(([, name]) => repositoryOf(name) === repository)
    if (tagged.length > 0) return tagged
  }
  const image = store.get(text)
  const by = namedBy(text, image)
  const tag = by !== 'id' && image.references.includes(by.name) ? by.name : undefined
  return [[image, tag]]
}

/** A name without tag and digest that is not an id. */
function isRepository(text: string): boolean {
  if (text.startsWith('sha256:') || text.includes('@') || text.slice(text.lastIndexOf('/')).includes(':'))
    return false
  try {
    return parseReference(text).tag === 'latest'
  } catch {
    return false
  }
}

function describe(content: ContentStore, image: ImageRecord, tags: readonly string[]): SavedImage {
  const bytes = content.read(image.manifestDigest)
  const manifest = parseManifest(bytes, undefined)
  if (manifest.kind !== 'image')
    throw fault.internal('image.manifest_invalid', `the manifest of ${image.id} is an index`)
  for (const { digest } of manifest.layers)
    if (!content.has(digest))
      throw fault.dataLoss('content.missing', `blob ${digest} is not on this host: pull the image again`)
  const { mediaType } = JSON.parse(bytes.toString()) as { mediaType?: string }
  return {
    manifest: {
      digest: image.manifestDigest,
      sizeBytes: bytes.length,
      mediaType: mediaType ?? MEDIA_TYPES.ociManifest,
    },
    config: image.id,
    layers: manifest.layers.map(({ digest }) => digest),
    tags: [...tags].sort(),
  }
}

/** What is being sent is kept for as long. */
async function* stream(
  { content, leases }: SaveDeps,
  images: readonly SavedImage[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const done = Promise.withResolvers<void>()
  const held = leases.working(() => done.promise)
  const blobs = new Set(images.flatMap((image) => [image.manifest.digest, image.config, ...image.layers]))
  for (const digest of blobs) content.onTouch(digest)
  const archive = pack()
  const writing = write(archive, content, blobs, layoutDocuments(images), signal).catch((error: unknown) =>
    archive.destroy(error instanceof Error ? error : new Error(String(error))),
  )
  try {
    for await (const chunk of archive as unknown as AsyncIterable<Buffer>) {
      signal?.throwIfAborted()
      yield chunk
    }
  } finally {
    archive.destroy()
    await writing
    done.resolve()
    await held
  }
}

async function write(
  archive: Archive,
  content: ContentStore,
  blobs: ReadonlySet<Digest>,
  documents: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const header = { mode: 0o644, mtime: new Date(0) }
  for (const [name, text] of Object.entries(documents)) archive.entry({ ...header, name }, text)
  for (const name of ['blobs/', 'blobs/sha256/'])
    archive.entry({ ...header, name, type: 'directory', mode: 0o755 })
  for (const digest of blobs) {
    const entry = archive.entry({ ...header, name: blobPath(digest), size: content.size(digest) })
    await pipeline(content.stream(digest), entry, { ...(signal ? { signal } : {}) })
  }
  archive.finalize()
}
