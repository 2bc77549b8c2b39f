import { createHash, randomBytes } from 'node:crypto'
import {
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { type Digest, digestHex, digestOf, failpoint, fault } from '@berth/core'
import { diskFull } from '../host/disk.js'

export interface Expected {
  readonly digest: Digest
  readonly sizeBytes?: number
}

/** Blobs by digest. A blob is visible only after its digest and size were verified and its bytes are on disk. */
export class ContentStore {
  private readonly blobs: string
  private readonly ingests: string

  constructor(root: string) {
    this.blobs = join(root, 'content', 'blobs', 'sha256')
    this.ingests = join(root, 'content', 'ingest')
    mkdirSync(this.blobs, { recursive: true, mode: 0o700 })
    mkdirSync(this.ingests, { recursive: true, mode: 0o700 })
  }

  path(digest: Digest): string {
    return join(this.blobs, digestHex(digest))
  }

  has(digest: Digest): boolean {
    return existsSync(this.path(digest))
  }

  /** @throws content.missing */
  read(digest: Digest): Buffer {
    if (!this.has(digest))
      throw fault.dataLoss('content.missing', `blob ${digest} is not on this host: pull the image again`)
    const bytes = readFileSync(this.path(digest))
    if (digestOf(bytes) !== digest)
      throw fault.dataLoss(
        'content.corrupt',
        `blob ${digest} is damaged on disk: remove the image and pull it again`,
      )
    return bytes
  }

  stream(digest: Digest): Readable {
    return createReadStream(this.path(digest))
  }

  size(digest: Digest): number {
    return statSync(this.path(digest)).size
  }

  /** Writes bytes whose digest the caller computed or trusts to be checked here. Idempotent. */
  async put(bytes: Uint8Array, expected?: Expected): Promise<Digest> {
    const digest = digestOf(bytes)
    if (expected) verify(expected, digest, bytes.length)
    if (!this.has(digest)) await this.ingest({ digest, sizeBytes: bytes.length }, [bytes])
    return digest
  }

  /** Streams a blob in. @throws image.digest_mismatch, image.size_mismatch; nothing stays in either case */
  async ingest(
    expected: Expected,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    onBytes?: (count: number) => void,
  ): Promise<void> {
    const temporary = join(this.ingests, `${digestHex(expected.digest)}.${randomBytes(6).toString('hex')}`)
    const file = await open(temporary, 'wx', 0o600)
    try {
      const hash = createHash('sha256')
      let size = 0
      for await (const chunk of source) {
        size += chunk.length
        if (expected.sizeBytes !== undefined && size > expected.sizeBytes) break
        hash.update(chunk)
        // Not write: on a disk that fills up it may write less than it was given, without an error.
        await file.writeFile(chunk)
        onBytes?.(chunk.length)
      }
      verify(expected, `sha256:${hash.digest('hex')}` as Digest, size)
      await file.sync()
      await file.close()
      await failpoint('content.before_rename')
      renameSync(temporary, this.path(expected.digest))
      syncDirectory(this.blobs)
    } catch (error) {
      await file.close().catch(() => {})
      rmSync(temporary, { force: true })
      throw diskFull(error, `blob ${expected.digest}`) ?? error
    }
  }

  remove(digest: Digest): void {
    rmSync(this.path(digest), { force: true })
  }

  list(): readonly Digest[] {
    return readdirSync(this.blobs).map((hex) => `sha256:${hex}` as Digest)
  }

  /** Drops what a crash left half-written. */
  recover(): void {
    for (const name of readdirSync(this.ingests)) rmSync(join(this.ingests, name), { force: true })
  }
}

function verify(expected: Expected, digest: Digest, size: number): void {
  if (expected.sizeBytes !== undefined && size !== expected.sizeBytes) {
    const found = size > expected.sizeBytes ? 'more' : `${size}`
    throw fault.dataLoss(
      'image.size_mismatch',
      `blob ${expected.digest} should have ${expected.sizeBytes} bytes but has ${found}`,
      { retryable: true },
    )
  }
  if (digest !== expected.digest) {
    throw fault.dataLoss(
      'image.digest_mismatch',
      `blob ${expected.digest} arrived as ${digest}: the registry or the path to it changed its bytes`,
      {
        params: { expected: expected.digest, found: digest },
      },
    )
  }
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
