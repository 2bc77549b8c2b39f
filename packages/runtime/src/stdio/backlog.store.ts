import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { fault } from '@berth/core'
import type { OutputChunk } from '../api.js'
import { decodeRecords, encodeRecord } from './packets.js'

/** What one reader is behind by at most, in memory and beyond that in a file without a name. */
export const BACKLOG_LIMITS = { memoryBytes: 1024 * 1024, fileBytes: 256 * 1024 * 1024 }

const BLOCK = 128 * 1024
/** What a chunk costs beside its bytes. */
const CHUNK_OVERHEAD = 256
let count = 0

/** Output that one reader has not taken yet, in order. Chunks are smaller than half a block. The file is a ring: it never grows past its limit. */
export class Backlog {
  private memory: OutputChunk[] = []
  private head = 0
  private memoryBytes = 0
  private fd: number | undefined
  /** Positions in all that ever went through the file. */
  private readAt = 0
  private writeAt = 0

  constructor(
    /** Where the file is made when it is needed. */
    private readonly dir: string,
    private readonly limits = BACKLOG_LIMITS,
  ) {}

  /** More should be put in only when the reader has taken some; a block fits in still. */
  get isFull(): boolean {
    return this.writeAt - this.readAt > this.limits.fileBytes - BLOCK
  }

  /** @throws what the file system says when the file cannot be written; stdio.backlog_full */
  push(chunk: OutputChunk): void {
    const cost = chunk.bytes.length + CHUNK_OVERHEAD
    if (this.readAt === this.writeAt && this.memoryBytes + cost <= this.limits.memoryBytes)
      return this.remember(chunk)
    const record = encodeRecord(chunk)
    if (this.writeAt + record.length - this.readAt > this.limits.fileBytes)
      throw fault.resourceExhausted('stdio.backlog_full', 'a reader is too far behind')
    this.fd ??= this.openFile()
    this.eachPart(this.writeAt, record, (fd, part, position) => writeWhole(fd, part, position))
    this.writeAt += record.length
  }

  take(): OutputChunk | undefined {
    if (this.head === this.memory.length) this.refill()
    const chunk = this.memory[this.head]
    if (!chunk) return undefined
    this.head += 1
    this.memoryBytes -= chunk.bytes.length + CHUNK_OVERHEAD
    if (this.head * 2 > this.memory.length) {
      this.memory = this.memory.slice(this.head)
      this.head = 0
    }
    return chunk
  }

  /** Forgets what is left. Idempotent. */
  close(): void {
    this.memory = []
    this.head = 0
    this.memoryBytes = 0
    this.readAt = this.writeAt
    if (this.fd !== undefined) closeSync(this.fd)
    this.fd = undefined
  }

  private remember(chunk: OutputChunk): void {
    this.memory.push(chunk)
    this.memoryBytes += chunk.bytes.length + CHUNK_OVERHEAD
  }

  private refill(): void {
    if (this.readAt === this.writeAt) return
    const block = Buffer.alloc(Math.min(BLOCK, this.writeAt - this.readAt))
    this.eachPart(this.readAt, block, (fd, part, position) => readSync(fd, part, 0, part.length, position))
    const { chunks, length } = decodeRecords(block)
    for (const chunk of chunks) this.remember(chunk)
    this.readAt += length
  }

  /** The bytes' one or two places in the ring. */
  private eachPart(
    at: number,
    bytes: Buffer,
    act: (fd: number, part: Buffer, position: number) => void,
  ): void {
    const position = at % this.limits.fileBytes
    const first = Math.min(bytes.length, this.limits.fileBytes - position)
    act(this.fd as number, bytes.subarray(0, first), position)
    if (first < bytes.length) act(this.fd as number, bytes.subarray(first), 0)
  }

  private openFile(): number {
    count += 1
    const path = `${this.dir}/backlog-${process.pid}-${count}`
    const fd = openSync(path, 'wx+', 0o600)
    unlinkSync(path)
    return fd
  }
}

function writeWhole(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(fd, bytes, done, bytes.length - done, position + done)
}
