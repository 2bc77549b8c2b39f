import { type Digest, fault, isDigest } from '@berth/core'
import type { ImageRecord } from '../api.js'
import { chainIds } from '../layers/layers.store.js'
import type { Metadata } from '../metadata.store.js'
import { formatReference, isDigestName, parseReference, type Reference, repositoryOf } from './reference.js'

/** What is written down of an image; the rest of its record follows from other tables. */
export type StoredImage = Omit<ImageRecord, 'references' | 'repositoryDigests' | 'taggedAt' | 'sizeBytes'>

/** Of images that an older version stored. */
const DEFAULTS = { author: '', comment: '' }
const SHORT_ID = /^(?:sha256:)?([0-9a-f]{4,64})$/

/**
 * Rows of images and the names that lead to them. A name is a tag (`HOST/REPOSITORY:TAG`) or a digest name (`HOST/REPOSITORY@sha256:…`); the
 * digest names are an image's `repositoryDigests`. An image without a tag is dangling and stays until it is removed.
 */
export class ImageStore {
  /** Told of every image that becomes visible: the collector's write barrier. */
  onPut: (id: Digest) => void = () => {}

  constructor(
    private readonly metadata: Metadata,
    private readonly now: () => string,
  ) {}

  /** The image, its blobs and its name become visible together. Idempotent. */
  put(image: StoredImage, blobs: readonly Digest[], ...names: readonly (string | undefined)[]): void {
    const { db } = this.metadata
    this.metadata.transaction(() => {
      db.prepare(
        'INSERT INTO image (id, manifest_digest, record) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET manifest_digest = excluded.manifest_digest, record = excluded.record, is_hidden = 0',
      ).run(image.id, image.manifestDigest, JSON.stringify(image))
      db.prepare('DELETE FROM image_blob WHERE image_id = ?').run(image.id)
      const insert = db.prepare('INSERT OR IGNORE INTO image_blob (image_id, digest) VALUES (?, ?)')
      for (const digest of blobs) insert.run(image.id, digest)
      for (const name of names) if (name) this.point(name, image.id)
      this.onPut(image.id)
    })
  }

  /** A tag that led to another image leads to this one from now on. */
  point(name: string, imageId: Digest): void {
    this.metadata.transaction(() => {
      this.metadata.db
        .prepare(
          'INSERT INTO reference (name, image_id) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET image_id = excluded.image_id',
        )
        .run(name, imageId)
      this.metadata.db.prepare('UPDATE image SET tagged_at = ? WHERE id = ?').run(this.now(), imageId)
    })
  }

  unpoint(name: string): void {
    this.metadata.db.prepare('DELETE FROM reference WHERE name = ?').run(name)
  }

  remove(id: Digest): void {
    this.metadata.db.prepare('DELETE FROM image WHERE id = ?').run(id)
  }

  /** Gone for everybody but the stopped containers that were made from it, which may be started again: they know its whole id. */
  hide(id: Digest): void {
    this.metadata.db.prepare('UPDATE image SET is_hidden = 1 WHERE id = ?').run(id)
  }

  hidden(): readonly Digest[] {
    return this.metadata.db
      .prepare('SELECT id FROM image WHERE is_hidden = 1')
      .all()
      .map((row) => String(row.id) as Digest)
  }

  /** By name, by image id or manifest digest, or by the first digits of an id; a name wins. @throws image.ambiguous, image.reference_invalid */
  find(referenceOrId: string): ImageRecord | undefined {
    if (isDigest(referenceOrId)) return this.byDigest(referenceOrId)
    const short = SHORT_ID.exec(referenceOrId)?.[1]
    const named = referenceOrId.startsWith('sha256:') && short ? undefined : this.byName(referenceOrId, short)
    return named ?? (short === undefined ? undefined : this.byPrefix(short))
  }

  private byDigest(digest: Digest): ImageRecord | undefined {
    return this.one(
      'SELECT * FROM image WHERE id = ? OR manifest_digest = ? ORDER BY id = ? DESC LIMIT 1',
      digest,
      digest,
      digest,
    )
  }

  private byName(text: string, short: string | undefined): ImageRecord | undefined {
    // 64 hex digits alone are an id and never a repository.
    if (short?.length === 64) return undefined
    const reference = parseReference(text)
    const byName = 'SELECT i.* FROM reference r JOIN image i ON i.id = r.image_id WHERE r.name = ?'
    if (reference.digest === undefined) return this.one(byName, formatReference(reference))
    const name = digestName(reference, reference.digest)
    return this.one(byName, name) ?? this.byOwnDigest(reference, reference.digest)
  }

  /** An image that was never pushed is known by its digest under the repositories of its tags. */
  private byOwnDigest(reference: Reference, digest: Digest): ImageRecord | undefined {
    const image = this.byDigest(digest)
    const repository = `${reference.host}/${reference.repository}`
    return image?.references.some((name) => repositoryOf(name) === repository) ? image : undefined
  }

  private byPrefix(hex: string): ImageRecord | undefined {
    const rows = this.metadata.db
      .prepare(
        "SELECT id FROM image WHERE id >= 'sha256:' || ? AND id < 'sha256:' || ? || 'g' AND is_hidden = 0 LIMIT 2",
      )
      .all(hex, hex)
    if (rows.length > 1)
      throw fault.invalidArgument('image.ambiguous', `${hex} is the beginning of more than one image id`, {
        params: { image: hex },
      })
    return rows[0] ? this.byDigest(String(rows[0].id) as Digest) : undefined
  }

  private one(sql: string, ...values: readonly string[]): ImageRecord | undefined {
    const row = this.metadata.db.prepare(sql).get(...values)
    return row ? this.complete(row) : undefined
  }

  /** @throws image.not_found, image.ambiguous */
  get(referenceOrId: string): ImageRecord {
    const image = this.find(referenceOrId)
    if (!image)
      throw fault.notFound('image.not_found', `image ${referenceOrId} is not on this host: pull it first`, {
        params: { image: referenceOrId },
      })
    return image
  }

  list(): readonly ImageRecord[] {
    return this.metadata.db
      .prepare('SELECT * FROM image WHERE is_hidden = 0 ORDER BY id')
      .all()
      .map((row) => this.complete(row))
  }

  ids(): readonly Digest[] {
    return this.metadata.db
      .prepare('SELECT id FROM image')
      .all()
      .map((row) => String(row.id) as Digest)
  }

  blobsOf(id: Digest): readonly Digest[] {
    return this.metadata.db
      .prepare('SELECT digest FROM image_blob WHERE image_id = ?')
      .all(id)
      .map((row) => String(row.digest) as Digest)
  }

  diffIdsOf(id: Digest): readonly Digest[] {
    const row = this.metadata.db.prepare('SELECT record FROM image WHERE id = ?').get(id)
    return row ? (JSON.parse(String(row.record)) as StoredImage).diffIds : []
  }

  /** Images that have the blob. */
  usersOf(digest: Digest): readonly Digest[] {
    return this.metadata.db
      .prepare('SELECT image_id FROM image_blob WHERE digest = ?')
      .all(digest)
      .map((row) => String(row.image_id) as Digest)
  }

  /** Where blobs are known to be, so that a push to the same registry can mount them. */
  rememberSource(digests: readonly Digest[], host: string, repository: string): void {
    this.metadata.transaction(() => {
      const insert = this.metadata.db.prepare(
        'INSERT OR REPLACE INTO blob_source (digest, host, repository) VALUES (?, ?, ?)',
      )
      for (const digest of digests) insert.run(digest, host, repository)
    })
  }

  sourceOf(digest: Digest, host: string): string | undefined {
    const row = this.metadata.db
      .prepare('SELECT repository FROM blob_source WHERE digest = ? AND host = ?')
      .get(digest, host)
    return row ? String(row.repository) : undefined
  }

  private complete(row: Record<string, unknown>): ImageRecord {
    const image = { ...DEFAULTS, ...(JSON.parse(String(row.record)) as StoredImage) }
    const names = this.metadata.db
      .prepare('SELECT name FROM reference WHERE image_id = ? ORDER BY name')
      .all(image.id)
      .map(({ name }) => String(name))
    return {
      ...image,
      references: names.filter((name) => !isDigestName(name)),
      repositoryDigests: names.filter(isDigestName),
      taggedAt: String(row.tagged_at ?? ''),
      sizeBytes: this.layerBytes(image.diffIds),
    }
  }

  private layerBytes(diffIds: readonly Digest[]): number {
    const size = this.metadata.db.prepare('SELECT size_bytes FROM layer WHERE chain_id = ?')
    return chainIds(diffIds).reduce((sum, chainId) => sum + Number(size.get(chainId)?.size_bytes ?? 0), 0)
  }
}

export const digestName = ({ host, repository }: Reference, digest: Digest): string =>
  `${host}/${repository}@${digest}`
