import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fault } from '@berth/core'
import type { Database } from './database.store.js'

const DIGEST = /^sha256:[0-9a-f]{64}$/
const UPLOAD_LIFE_MS = 86_400_000
const UPLOAD = /^[0-9a-f-]{36}$/

export interface StoredManifest {
  readonly digest: string
  readonly mediaType: string
  readonly body: Buffer
}

/** Repositories, manifests and tags are rows; blobs are files named by their digest, readable only through a repository that has them. */
export class RegistryStore {
  private readonly blobs: string
  private readonly uploads: string

  constructor(
    private readonly database: Database,
    dataDir: string,
  ) {
    this.blobs = join(dataDir, 'registry', 'blobs')
    this.uploads = join(dataDir, 'registry', 'uploads')
    for (const dir of [this.blobs, this.uploads]) mkdirSync(dir, { recursive: true, mode: 0o700 })
  }

  /** The digest a tag (or digest) names in a repository. */
  async resolve(repository: string, reference: string): Promise<string | undefined> {
    const sql = DIGEST.test(reference)
      ? 'SELECT digest FROM registry_manifest WHERE repository = $1 AND digest = $2'
      : 'SELECT digest FROM registry_tag WHERE repository = $1 AND tag = $2'
    return (await this.database.query<{ digest: string }>(sql, [repository, reference]))[0]?.digest
  }

  async manifest(repository: string, reference: string): Promise<StoredManifest | undefined> {
    const digest = await this.resolve(repository, reference)
    if (!digest) return undefined
    const [row] = await this.database.query<{ mediaType: string; body: Buffer }>(
      'SELECT "mediaType", body FROM registry_manifest WHERE repository = $1 AND digest = $2',
      [repository, digest],
    )
    return row ? { digest, ...row } : undefined
  }

  /** Stores a manifest whose blobs are all there. @throws registry.blob_unknown, registry.digest_invalid */
  async putManifest(
    repository: string,
    reference: string,
    mediaType: string,
    body: Buffer,
    needs: { blobs: readonly string[]; manifests: readonly string[] },
  ): Promise<string> {
    const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`
    if (DIGEST.test(reference) && reference !== digest)
      throw fault.invalidArgument('registry.digest_invalid', `the manifest is ${digest}, not ${reference}`)
    await this.database.transaction(async (client) => {
      await client.query('INSERT INTO registry_repository (name) VALUES ($1) ON CONFLICT DO NOTHING', [
        repository,
      ])
      const blobs = await client.query<{ digest: string }>(
        'SELECT digest FROM registry_repository_blob WHERE repository = $1 AND digest = ANY($2)',
        [repository, needs.blobs],
      )
      const manifests = await client.query<{ digest: string }>(
        'SELECT digest FROM registry_manifest WHERE repository = $1 AND digest = ANY($2)',
        [repository, needs.manifests],
      )
      const present = new Set([...blobs.rows, ...manifests.rows].map((row) => row.digest))
      const missing = [...needs.blobs, ...needs.manifests].find((need) => !present.has(need))
      if (missing)
        throw fault.failedPrecondition(
          'registry.blob_unknown',
          `repository ${repository} has no ${missing}: push it before the manifest`,
        )
      await client.query(
        'INSERT INTO registry_manifest (repository, digest, "mediaType", "sizeBytes", body) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING',
        [repository, digest, mediaType, body.length, body],
      )
      if (DIGEST.test(reference)) return
      await client.query(
        'INSERT INTO registry_tag (repository, tag, digest) VALUES ($1, $2, $3) ON CONFLICT (repository, tag) DO UPDATE SET digest = excluded.digest, "updatedAt" = now()',
        [repository, reference, digest],
      )
    })
    return digest
  }

  /** True when something was there. A digest takes its tags with it. */
  async deleteManifest(repository: string, reference: string): Promise<boolean> {
    if (!DIGEST.test(reference))
      return (
        (
          await this.database.query(
            'DELETE FROM registry_tag WHERE repository = $1 AND tag = $2 RETURNING tag',
            [repository, reference],
          )
        ).length > 0
      )
    await this.database.query('DELETE FROM registry_tag WHERE repository = $1 AND digest = $2', [
      repository,
      reference,
    ])
    return (
      (
        await this.database.query(
          'DELETE FROM registry_manifest WHERE repository = $1 AND digest = $2 RETURNING digest',
          [repository, reference],
        )
      ).length > 0
    )
  }

  async tags(repository: string): Promise<readonly string[] | undefined> {
    const known = await this.database.query('SELECT 1 FROM registry_repository WHERE name = $1', [repository])
    if (known.length === 0) return undefined
    return (
      await this.database.query<{ tag: string }>(
        'SELECT tag FROM registry_tag WHERE repository = $1 ORDER BY tag',
        [repository],
      )
    ).map((row) => row.tag)
  }

  async repositories(): Promise<readonly string[]> {
    return (
      await this.database.query<{ name: string }>('SELECT name FROM registry_repository ORDER BY name')
    ).map((row) => row.name)
  }

  async hasBlob(repository: string, digest: string): Promise<number | undefined> {
    if (!DIGEST.test(digest)) return undefined
    const rows = await this.database.query(
      'SELECT 1 FROM registry_repository_blob WHERE repository = $1 AND digest = $2',
      [repository, digest],
    )
    return rows.length > 0 && existsSync(this.blobPath(digest))
      ? statSync(this.blobPath(digest)).size
      : undefined
  }

  readBlob(digest: string, range?: { start: number; end: number }): Readable {
    return createReadStream(this.blobPath(digest), range)
  }

  /** Makes a blob of one repository readable through another. */
  async mountBlob(from: string, to: string, digest: string): Promise<boolean> {
    const size = await this.hasBlob(from, digest)
    if (size === undefined) return false
    await this.link(to, digest, size)
    return true
  }

  private async link(repository: string, digest: string, sizeBytes: number): Promise<void> {
    await this.database.query('INSERT INTO registry_repository (name) VALUES ($1) ON CONFLICT DO NOTHING', [
      repository,
    ])
    await this.database.query(
      'INSERT INTO registry_repository_blob (repository, digest, "sizeBytes") VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
      [repository, digest, sizeBytes],
    )
  }

  async beginUpload(): Promise<string> {
    const id = randomUUID()
    await (await open(join(this.uploads, id), 'wx', 0o600)).close()
    return id
  }

  /** Bytes received so far; undefined for an unknown upload. */
  uploadSize(id: string): number | undefined {
    const path = join(this.uploads, UPLOAD.test(id) ? id : 'unknown')
    return existsSync(path) ? statSync(path).size : undefined
  }

  /** Appends a chunk and gives the new size. */
  async append(id: string, body: AsyncIterable<Uint8Array>): Promise<number> {
    const file = await open(join(this.uploads, id), 'a')
    try {
      for await (const chunk of body) await file.write(chunk)
      return (await file.stat()).size
    } finally {
      await file.close()
    }
  }

  /** Verifies the upload and makes it a blob of the repository. @throws registry.digest_invalid; the upload is dropped then */
  async finishUpload(id: string, repository: string, digest: string): Promise<void> {
    const path = join(this.uploads, id)
    const hash = createHash('sha256')
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
    const found = `sha256:${hash.digest('hex')}`
    if (found !== digest) {
      rmSync(path, { force: true })
      throw fault.invalidArgument('registry.digest_invalid', `the upload is ${found}, not ${digest}`)
    }
    const file = await open(path, 'r')
    await file.sync()
    const { size } = await file.stat()
    await file.close()
    renameSync(path, this.blobPath(digest))
    await this.link(repository, digest, size)
  }

  cancelUpload(id: string): void {
    if (UPLOAD.test(id)) rmSync(join(this.uploads, id), { force: true })
  }

  /** Drops uploads nobody has touched for a day and gives how many. */
  purgeUploads(nowMs: number): number {
    const stale = readdirSync(this.uploads).filter(
      (id) => statSync(join(this.uploads, id)).mtimeMs < nowMs - UPLOAD_LIFE_MS,
    )
    for (const id of stale) this.cancelUpload(id)
    return stale.length
  }

  private blobPath(digest: string): string {
    return join(this.blobs, digest.slice('sha256:'.length))
  }
}
