import {
  appendFileSync,
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readSync,
  statSync,
  watch,
} from 'node:fs'
import type { LogEntry, LogOptions } from '../api.js'
import { closingLines, LogAssembler } from './log-format.js'

const BLOCK = 64 * 1024

/** Offset at which the last `count` whole lines begin; partial lines count as one of the file's lines. */
function tailOffset(fd: number, size: number, count: number): number {
  const buffer = Buffer.alloc(BLOCK)
  let found = 0
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - BLOCK)
    const length = readSync(fd, buffer, 0, end - start, start)
    for (let i = length - 1; i >= 0; i--) {
      if (buffer[i] !== 0x0a || start + i === size - 1) continue
      found += 1
      if (found === count) return start + i + 1
    }
    end = start
  }
  return 0
}

/** Ends the lines that an ended process left open. Idempotent. */
export function endOpenLines(path: string, at: Date): void {
  if (!existsSync(path)) return
  const fd = openSync(path, 'r')
  try {
    const { size } = fstatSync(fd)
    const tail = Buffer.alloc(Math.min(BLOCK, size))
    readSync(fd, tail, 0, tail.length, size - tail.length)
    appendFileSync(path, closingLines(tail.toString('utf8'), at.toISOString()))
  } finally {
    closeSync(fd)
  }
}

/** A container's log from the asked point on; with `follow` until the signal aborts or `isOver` says nothing more will come, which `ended` waits for. */
export async function* readLogs(
  path: string,
  options: LogOptions,
  isOver: () => boolean,
  ended: (signal: AbortSignal) => Promise<unknown>,
): AsyncGenerator<LogEntry> {
  const reader = new LogReader(path, options)
  const wakeups = options.follow ? new Wakeups(path, options.signal, ended) : undefined
  try {
    for (;;) {
      const over = isOver()
      yield* reader.read()
      if (!wakeups || over || options.signal?.aborted) return
      await wakeups.next()
    }
  } finally {
    wakeups?.close()
    reader.close()
  }
}

class LogReader {
  private fd: number | undefined
  private offset = 0
  private rest = Buffer.alloc(0)
  private readonly assembler = new LogAssembler()

  constructor(
    private readonly path: string,
    private readonly options: LogOptions,
  ) {}

  /** What is new, the rest of a file that was rotated away first. */
  *read(): Generator<LogEntry> {
    if (this.fd !== undefined) yield* this.drain(this.fd)
    if (this.open() && this.fd !== undefined) yield* this.drain(this.fd)
  }

  private *drain(fd: number): Generator<LogEntry> {
    const size = fstatSync(fd).size
    if (size < this.offset) this.offset = 0
    const buffer = Buffer.alloc(BLOCK)
    while (this.offset < size) {
      const length = readSync(fd, buffer, 0, BLOCK, this.offset)
      if (length === 0) break
      this.offset += length
      yield* this.lines(buffer.subarray(0, length))
    }
  }

  private *lines(bytes: Buffer): Generator<LogEntry> {
    let all = Buffer.concat([this.rest, bytes])
    for (let newline = all.indexOf(0x0a); newline >= 0; newline = all.indexOf(0x0a)) {
      const entry = this.assembler.push(all.toString('utf8', 0, newline))
      all = all.subarray(newline + 1)
      if (entry && this.wanted(entry)) yield entry
    }
    this.rest = Buffer.from(all)
  }

  private wanted(entry: LogEntry): boolean {
    if (entry.stream === 'stdout' && this.options.stdout === false) return false
    if (entry.stream === 'stderr' && this.options.stderr === false) return false
    return this.options.sinceMs === undefined || Date.parse(entry.timestamp) >= this.options.sinceMs
  }

  /** Opens the file, or the new one after a rotation put it in the old one's place. */
  private open(): boolean {
    if (!existsSync(this.path)) return this.fd !== undefined
    if (this.fd !== undefined && fstatSync(this.fd).ino === statSync(this.path).ino) return true
    const isFirst = this.fd === undefined
    this.close()
    this.fd = openSync(this.path, 'r')
    this.offset = isFirst && this.options.tail !== undefined ? this.start(this.options.tail) : 0
    return true
  }

  private start(tail: number): number {
    const fd = this.fd as number
    const { size } = fstatSync(fd)
    return tail === 0 ? size : tailOffset(fd, size, tail)
  }

  close(): void {
    if (this.fd !== undefined) closeSync(this.fd)
    this.fd = undefined
  }
}

const SAFETY_MS = 1_000

/** Resolves when the file changed, was cancelled, or a second has passed (a change event may be missed at a rotation). */
class Wakeups {
  private wake: (() => void) | undefined
  private changed = false
  private readonly watcher
  private readonly timer

  private readonly closing = new AbortController()

  constructor(
    path: string,
    private readonly signal: AbortSignal | undefined,
    ended: (signal: AbortSignal) => Promise<unknown>,
  ) {
    const ring = () => {
      this.changed = true
      this.wake?.()
    }
    this.watcher = existsSync(path) ? watch(path, ring) : undefined
    this.watcher?.on('error', () => {})
    this.timer = setInterval(ring, SAFETY_MS)
    signal?.addEventListener('abort', ring, { signal: this.closing.signal })
    ended(this.closing.signal).then(ring, () => {})
  }

  async next(): Promise<void> {
    if (!this.changed && !this.signal?.aborted) await new Promise<void>((resolve) => (this.wake = resolve))
    this.changed = false
  }

  close(): void {
    this.closing.abort()
    this.watcher?.close()
    clearInterval(this.timer)
  }
}
