import { type Digest, fault } from '@berth/core'
import type { ImageRecord } from '../api.js'
import type { Metadata } from '../metadata.store.js'
import { canonical } from './reference.js'

export type StoredImage = Omit<ImageRecord, 'references'>

/** Rows of images and the references that name them. */
export class ImageStore {
  constructor(private readonly metadata: Metadata) {}

  /** The image, its blobs and its reference become visible together. Idempotent. */
  put(image: StoredImage, blobs: readonly Digest[], reference: string | undefined): void {
    const { db } = this.metadata
    this.metadata.transaction(() => {
      db.prepare(
        'INSERT INTO image (id, manifest_digest, record) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET manifest_digest = excluded.manifest_digest, record = excluded.record',
      ).run(image.id, image.manifestDigest, JSON.stringify(image))
      const insert = db.prepare('INSERT OR IGNORE INTO image_blob (image_id, digest) VALUES (?, ?)')
      for (const digest of blobs) insert.run(image.id, digest)
      if (reference) this.point(reference, image.id)
    })
  }

  point(reference: string, imageId: Digest): void {
    this.metadata.db
      .prepare(
        'INSERT INTO reference (name, image_id) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET image_id = excluded.image_id',
      )
      .run(reference, imageId)
  }

  unpoint(reference: string): void {
    this.metadata.db.prepare('DELETE FROM reference WHERE name = ?').run(reference)
  }

  remove(id: Digest): void {
    this.metadata.db.prepare('DELETE FROM image WHERE id = ?').run(id)
  }

  /** By reference, by `name@digest`, by image id or manifest digest. */
  find(referenceOrId: string): ImageRecord | undefined {
    const { db } = this.metadata
    const digest = /sha256:[0-9a-f]{64}$/.exec(referenceOrId)?.[0]
    const row = digest
      ? db.prepare('SELECT record, id FROM image WHERE id = ? OR manifest_digest = ?').get(digest, digest)
      : db
          .prepare(
            'SELECT i.record, i.id FROM reference r JOIN image i ON i.id = r.image_id WHERE r.name = ?',
          )
          .get(canonical(referenceOrId))
    return row ? this.complete(String(row.record)) : undefined
  }

  list(): readonly ImageRecord[] {
    return this.metadata.db
      .prepare('SELECT record FROM image ORDER BY id')
      .all()
      .map((row) => this.complete(String(row.record)))
  }

  blobsInUse(): ReadonlySet<string> {
    return new Set(
      this.metadata.db
        .prepare('SELECT DISTINCT digest FROM image_blob')
        .all()
        .map((row) => String(row.digest)),
    )
  }

  private complete(record: string): ImageRecord {
    const image = JSON.parse(record) as StoredImage
    const references = this.metadata.db
      .prepare('SELECT name FROM reference WHERE image_id = ? ORDER BY name')
      .all(image.id)
    return { ...image, references: references.map((row) => String(row.name)) }
  }

  /** @throws image.not_found */
  get(referenceOrId: string): ImageRecord {
    const image = this.find(referenceOrId)
    if (!image)
      throw fault.notFound('image.not_found', `image ${referenceOrId} is not on this host: pull it first`, {
        params: { image: referenceOrId },
      })
    return image
  }
}
