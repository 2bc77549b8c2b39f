import {
  addExtension,
  BLOCK_BYTES,
  decodeBlock,
  type Extensions,
  type ExtensionType,
  invalidTar,
  isExtension,
  isZeroBlock,
  type NameEncoding,
  NO_EXTENSIONS,
  type TarHeader,
  withExtensions,
} from './tar-header.js'

/** Called in order: `entry`, then `data` any number of times, then `end`. */
export interface TarSink {
  entry(header: TarHeader): void
  data(bytes: Buffer): void
  end(): void
}

const EXTENSION_MAX_BYTES = 1024 * 1024
/** After the end of the archive; writers pad to a record, of at most a few megabytes. */
const TRAILING_MAX_BYTES = 16 * 1024 * 1024

/**
 * Reads an archive from chunks of any size without waiting for anything: unpacking is bound by system calls, and one microtask per entry
 * would cost more than they do. Types without content (links, directories) have none, whatever their size field says.
 */
export class TarReader {
  private readonly head = Buffer.alloc(BLOCK_BYTES)
  private headLength = 0
  private remaining = 0
  private padding = 0
  private zeroBlocks = 0
  private trailing = 0
  private blocks = 0
  private extension: { type: ExtensionType; parts: Buffer[] } | undefined
  private extensions: Extensions = NO_EXTENSIONS
  private global: Readonly<Record<string, string>> = {}

  constructor(
    private readonly sink: TarSink,
    private readonly names: NameEncoding = 'utf8',
    /** Sparse files (GNU 1.0) come as they stand: the sink knows how to read them. */
    private readonly takesSparse = false,
  ) {}

  /** @throws image.layer_invalid */
  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (this.zeroBlocks >= 2) return this.skipTrailing(chunk.length - at)
      if (this.remaining > 0) at += this.body(chunk, at)
      else if (this.padding > 0) {
        const count = Math.min(this.padding, chunk.length - at)
        this.padding -= count
        at += count
      } else at += this.header(chunk, at)
    }
  }

  /** @throws image.layer_invalid when the archive stops in the middle, or was none */
  finish(): void {
    if (this.remaining > 0 || this.headLength > 0 || this.extension)
      throw invalidTar('it ends in the middle of an entry')
    if (this.blocks === 0) throw invalidTar('it is empty')
  }

  private skipTrailing(count: number): void {
    this.trailing += count
    if (this.trailing > TRAILING_MAX_BYTES) throw invalidTar('it goes on for more than 16 MiB after its end')
  }

  private body(chunk: Buffer, at: number): number {
    const count = Math.min(this.remaining, chunk.length - at)
    const piece = chunk.subarray(at, at + count)
    this.remaining -= count
    if (this.extension) this.extension.parts.push(Buffer.from(piece))
    else this.sink.data(piece)
    if (this.remaining === 0) this.closeEntry()
    return count
  }

  private closeEntry(): void {
    if (!this.extension) return this.sink.end()
    const { type, parts } = this.extension
    this.extension = undefined
    const body = Buffer.concat(parts)
    if (type === 'global-pax')
      this.global = addExtension({ ...NO_EXTENSIONS, pax: this.global }, type, body, this.names).pax
    else this.extensions = addExtension(this.extensions, type, body, this.names)
  }

  private header(chunk: Buffer, at: number): number {
    if (this.headLength === 0 && chunk.length - at >= BLOCK_BYTES) {
      this.block(chunk.subarray(at, at + BLOCK_BYTES))
      return BLOCK_BYTES
    }
    const count = Math.min(BLOCK_BYTES - this.headLength, chunk.length - at)
    chunk.copy(this.head, this.headLength, at, at + count)
    this.headLength += count
    if (this.headLength === BLOCK_BYTES) {
      this.headLength = 0
      this.block(this.head)
    }
    return count
  }

  private block(block: Buffer): void {
    this.blocks += 1
    if (block[0] === 0 && isZeroBlock(block)) {
      this.zeroBlocks += 1
      return
    }
    this.zeroBlocks = 0
    const raw = decodeBlock(block, this.names)
    if (isExtension(raw)) return this.beginExtension(raw.type as ExtensionType, raw.sizeBytes)
    const pax = { ...this.global, ...this.extensions.pax }
    const header = withExtensions(raw, { ...this.extensions, pax }, this.takesSparse)
    this.extensions = NO_EXTENSIONS
    const size = header.type === 'file' ? header.sizeBytes : 0
    this.sink.entry(size === header.sizeBytes ? header : { ...header, sizeBytes: size })
    this.expect(size)
    if (size === 0) this.sink.end()
  }

  private beginExtension(type: ExtensionType, size: number): void {
    if (size > EXTENSION_MAX_BYTES) throw invalidTar('an extension header is larger than 1 MiB')
    this.extension = { type, parts: [] }
    this.expect(size)
    if (size === 0) this.closeEntry()
  }

  private expect(size: number): void {
    this.remaining = size
    this.padding = (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES
  }
}
