/** A container's or exec's standard streams, as one who attached has them. */
export interface Attachment {
  /** What it writes, in order, until it ends or `close` is called. With a terminal everything is `stdout`. A slow reader slows nobody else. */
  readonly output: AsyncIterable<OutputChunk>
  /** To its stdin; resolves when the kernel took it. A closed stdin swallows. */
  write(bytes: Uint8Array): Promise<void>
  /** Ends its stdin, if it is the kind that ends. Idempotent. */
  endInput(): void
  /** Leaves; it runs on. Idempotent. */
  close(): void
}

export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr'
  readonly bytes: Uint8Array
}

export interface AttachOptions {
  /** Default true. */
  readonly stdin?: boolean
  readonly stdout?: boolean
  readonly stderr?: boolean
  readonly signal?: AbortSignal
}

export interface ConsoleSize {
  readonly rows: number
  readonly columns: number
}
