import * as fs from 'node:fs'

const OUTBOX_BYTES = 1 << 19

/** Gathers what is written into large pieces. Its receiver sets the pace: `send` returns when it took everything. */
export class Outbox {
  private buffer = Buffer.allocUnsafe(OUTBOX_BYTES)
  private filled = 0

  /** `skipBytes` at the beginning are counted and not sent; those of files are not even read. */
  constructor(
    private readonly send: (bytes: Buffer) => void,
    private skipBytes = 0,
  ) {}

  write(bytes: Buffer): void {
    for (let at = this.skipped(bytes.length); at < bytes.length; ) {
      const count = bytes.copy(this.buffer, this.filled, at)
      at += count
      this.advance(count)
    }
  }

  zeros(count: number): void {
    for (let rest = count - this.skipped(count); rest > 0; ) {
      const step = Math.min(rest, OUTBOX_BYTES - this.filled)
      this.buffer.fill(0, this.filled, this.filled + step)
      rest -= step
      this.advance(step)
    }
  }

  /** Exactly so many bytes of a file, from a place on; zeros for those it has lost meanwhile. */
  file(fd: number, sizeBytes: number, from = 0): void {
    for (let rest = sizeBytes - this.skipped(sizeBytes); rest > 0; ) {
      const room = Math.min(rest, OUTBOX_BYTES - this.filled)
      const count = fs.readSync(fd, this.buffer, this.filled, room, from + sizeBytes - rest)
      if (count === 0) return this.zeros(rest)
      rest -= count
      this.advance(count)
    }
  }

  flush(): void {
    if (this.filled > 0) this.send(this.buffer.subarray(0, this.filled))
    this.filled = 0
  }

  private skipped(count: number): number {
    const skipped = Math.min(this.skipBytes, count)
    this.skipBytes -= skipped
    return skipped
  }

  private advance(count: number): void {
    this.filled += count
    if (this.filled === OUTBOX_BYTES) this.flush()
  }
}

/** To a pipe whose reader may be slow. */
export function writeAll(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(fd, bytes, at)
}
