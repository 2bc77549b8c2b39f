import { createHash, type Hash, randomBytes } from 'node:crypto'
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
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { type Digest, digestHex, digestOf, Fault, failpoint, fault, isDigest } from '@berth/core'
import { blobKey } from '../gc/mark.js'
import { diskFull } from '../host/disk.js'
import type { Durability } from './durability.store.js'
import { giveBack } from './handed-over.js'

export interface Expected {
  readonly digest: Digest
  readonly sizeBytes?: number
}

export interface StagedBlob {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly path: string
}

/** Bytes from an offset on, so that what an earlier try left is not asked for again. */
export type ResumableSource = (offset: number) => AsyncIterable<Uint8Array>

const BATCH_BYTES = 1024 * 1024
/** A partial blob older than this is not worth its room. */
const PARTIAL_MAX_AGE_MS = 24 * 3_600_000

/** Blobs by digest. A blob is visible only after its digest and size were verified and its bytes are on disk. */
export class ContentStore {
  private readonly blobs: string
  private readonly ingests: string
  private readonly quarantine: string
  private readonly running = new Map<Digest, Promise<void>>()
  /** Told of every blob that somebody makes or will count on. */
  onTouch: (digest: Digest) => void = () => {}

  /** Without `durability` staged blobs are flushed one by one. */
  constructor(
    root: string,
    private readonly durability?: Durability,
  ) {
    this.blobs = join(root, 'content', 'blobs', 'sha256')
    this.ingests = join(root, 'content', 'ingest')
    this.quarantine = join(root, 'content', 'damaged')
    for (const dir of [this.blobs, this.ingests]) mkdirSync(dir, { recursive: true, mode: 0o700 })
  }

  path(digest: Digest): string {
    return join(this.blobs, digestHex(digest))
  }

  has(digest: Digest): boolean {
    return existsSync(this.path(digest))
  }

  /** @throws content.missing, content.corrupt */
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

  stream(digest: Digest, offset = 0): Readable {
    return createReadStream(this.path(digest), { highWaterMark: BATCH_BYTES, start: offset })
  }

  size(digest: Digest): number {
    return statSync(this.path(digest)).size
  }

  /** Writes bytes whose digest the caller computed or trusts to be checked here. Idempotent. */
  async put(bytes: Uint8Array, expected?: Expected): Promise<Digest> {
    const digest = digestOf(bytes)
    if (expected) verify(expected, digest, bytes.length)
    this.onTouch(digest)
    if (!this.has(digest)) await this.ingest({ digest, sizeBytes: bytes.length }, [bytes])
    return digest
  }

  /** Streams a blob in. @throws image.digest_mismatch, image.size_mismatch, host.disk_full; nothing stays in any case */
  async ingest(
    expected: Expected,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    onBytes?: (count: number) => void,
  ): Promise<void> {
    const temporary = join(this.ingests, `${digestHex(expected.digest)}.${randomBytes(6).toString('hex')}`)
    const writer = await BlobWriter.open(temporary, expected, onBytes)
    try {
      await writer.writeAll(source)
      await this.commit(writer, expected)
    } catch (error) {
      await writer.discard()
      throw diskFull(error, writer.path) ?? error
    }
  }

  /**
   * As `ingest`, but what arrived before a failure of the source stays, and the next call goes on from there, even in another process. Calls for
   * one blob at the same time share the first one's work. Bytes that turn out wrong are thrown away.
   */
  resume(expected: Expected, source: ResumableSource, onBytes?: (count: number) => void): Promise<void> {
    const running = this.running.get(expected.digest)
    // What stopped the other caller, his giving up perhaps, is not this one's.
    if (running) return running.catch(() => this.resume(expected, source, onBytes))
    const work = this.ingestFrom(expected, source, onBytes).finally(() =>
      this.running.delete(expected.digest),
    )
    this.running.set(expected.digest, work)
    return work
  }

  private async ingestFrom(
    expected: Expected,
    source: ResumableSource,
    onBytes?: (count: number) => void,
  ): Promise<void> {
    const writer = await BlobWriter.open(this.partial(expected.digest), expected, onBytes)
    const resumed = writer.size > 0
    try {
      if (writer.size < (expected.sizeBytes ?? Number.POSITIVE_INFINITY))
        await writer.writeAll(source(writer.size))
      await this.commit(writer, expected)
    } catch (error) {
      const full = diskFull(error, writer.path)
      const isWrong = Fault.is(error, 'image.digest_mismatch') || Fault.is(error, 'image.size_mismatch')
      if (full || isWrong || writer.size === 0) await writer.discard()
      else await writer.close()
      // The half that was here may have been the damaged one.
      if (isWrong && resumed) return this.ingestFrom(expected, source, onBytes)
      throw full ?? error
    }
  }

  /** A path for bytes that somebody else writes and hashes, to be committed or discarded like what `stage` gives. */
  stagingPath(): string {
    return join(this.ingests, `staged.${randomBytes(6).toString('hex')}`)
  }

  /** Bytes whose digest only shows at the end, in a file that is no blob yet: `commitStaged` or `discardStaged` it. @throws host.disk_full */
  async stage(source: AsyncIterable<Uint8Array>): Promise<StagedBlob> {
    const path = this.stagingPath()
    const writer = await BlobWriter.open(path, undefined, undefined)
    try {
      await writer.writeAll(source)
      await writer.close()
      return { digest: writer.digest(), sizeBytes: writer.size, path }
    } catch (error) {
      await writer.discard()
      throw diskFull(error, path) ?? error
    }
  }

  /** Makes them blobs. */
  async commitStaged(staged: readonly StagedBlob[]): Promise<void> {
    for (const { digest, path } of staged) {
      this.onTouch(digest)
      if (this.durability) this.durability.later(blobKey(digest))
      else await flush(path)
      renameSync(path, this.path(digest))
    }
  }

  discardStaged(staged: readonly StagedBlob[]): void {
    for (const { path } of staged) rmSync(path, { force: true })
  }

  private async commit(writer: BlobWriter, expected: Expected): Promise<void> {
    verify(expected, writer.digest(), writer.size)
    await writer.finish()
    await failpoint('content.before_rename')
    this.onTouch(expected.digest)
    renameSync(writer.path, this.path(expected.digest))
    syncDirectory(this.blobs)
  }

  private partial(digest: Digest): string {
    return join(this.ingests, `${digestHex(digest)}.part`)
  }

  remove(digest: Digest): void {
    rmSync(this.path(digest), { force: true })
  }

  list(): readonly Digest[] {
    return readdirSync(this.blobs).flatMap((hex) => {
      const digest = `sha256:${hex}`
      return isDigest(digest) ? [digest] : []
    })
  }

  /** Whether the bytes on the disk still have their digest. */
  async isIntact(digest: Digest, signal?: AbortSignal): Promise<boolean> {
    const hash = createHash('sha256')
    for await (const chunk of this.stream(digest)) {
      signal?.throwIfAborted()
      hash.update(chunk as Buffer)
    }
    return hash.digest('hex') === digestHex(digest)
  }

  /** Takes a damaged blob out of the way, so that it counts as missing; it stays to be looked at until the next start. */
  putAside(digest: Digest): void {
    mkdirSync(this.quarantine, { recursive: true, mode: 0o700 })
    if (this.has(digest)) renameSync(this.path(digest), join(this.quarantine, digestHex(digest)))
  }

  /** Drops what a crash left half-written, except what a pull can go on with. */
  recover(nowMs: number): void {
    rmSync(this.quarantine, { recursive: true, force: true })
    for (const name of readdirSync(this.ingests)) {
      const path = join(this.ingests, name)
      if (!name.endsWith('.part') || statSync(path).mtimeMs < nowMs - PARTIAL_MAX_AGE_MS)
        rmSync(path, { force: true })
    }
  }
}

/** One file that is written to, hashed on the way. */
class BlobWriter {
  private readonly batch: Uint8Array[] = []
  private batchBytes = 0
  private isClosed = false

  private constructor(
    readonly path: string,
    private readonly file: FileHandle,
    private readonly expected: Expected | undefined,
    private readonly onBytes: ((count: number) => void) | undefined,
    private readonly hash: Hash,
    public size: number,
  ) {}

  /** Goes on with a file that is there. */
  static async open(
    path: string,
    expected: Expected | undefined,
    onBytes: ((count: number) => void) | undefined,
  ): Promise<BlobWriter> {
    try {
      const file = await open(path, 'a+', 0o600)
      const hash = createHash('sha256')
      let size = 0
      for await (const chunk of file.createReadStream({
        autoClose: false,
        start: 0,
        highWaterMark: BATCH_BYTES,
      })) {
        hash.update(chunk as Buffer)
        size += (chunk as Buffer).length
      }
      if (size > 0) onBytes?.(size)
      return new BlobWriter(path, file, expected, onBytes, hash, size)
    } catch (error) {
      throw diskFull(error, path) ?? error
    }
  }

  async writeAll(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    const max = this.expected?.sizeBytes ?? Number.POSITIVE_INFINITY
    try {
      for await (const chunk of source) {
        this.size += chunk.length
        if (this.size > max) return
        this.hash.update(chunk)
        this.batch.push(chunk)
        this.batchBytes += chunk.length
        if (this.batchBytes >= BATCH_BYTES) await this.flush()
        this.onBytes?.(chunk.length)
      }
    } finally {
      await this.flush()
    }
  }

  private async flush(): Promise<void> {
    const pieces = this.batch.splice(0)
    this.batchBytes = 0
    if (pieces.length === 0) return
    const { bytesWritten } = await this.file.writev(pieces)
    const total = pieces.reduce((sum, piece) => sum + piece.length, 0)
    // On a disk that fills up a write may take less than it was given, without an error.
    if (bytesWritten < total) await this.file.writeFile(Buffer.concat(pieces).subarray(bytesWritten))
    for (const piece of pieces) giveBack(piece)
  }

  digest(): Digest {
    return `sha256:${this.hash.digest('hex')}` as Digest
  }

  async finish(): Promise<void> {
    await this.file.sync()
    await this.close()
  }

  async close(): Promise<void> {
    if (this.isClosed) return
    this.isClosed = true
    await this.file.close().catch(() => {})
  }

  async discard(): Promise<void> {
    await this.close()
    rmSync(this.path, { force: true })
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

async function flush(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
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
