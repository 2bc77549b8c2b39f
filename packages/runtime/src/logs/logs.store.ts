import { appendFileSync, closeSync, existsSync, fstatSync, openSync, readSync, watch } from 'node:fs'
import { dirname } from 'node:path'
import { setImmediate as nextRound } from 'node:timers/promises'
import type { LogEntry, LogOptions } from '../api.js'
import { inodeOf, type LogFile, logFiles, openIfThere } from './log-files.store.js'
import { closingRecords, LogAssembler, splitRecords } from './log-format.js'
import { findTail } from './tail.store.js'

const BLOCK = 64 * 1024

/** Ends the lines that an ended process left open. Idempotent. */
export function endOpenLines(path: string, at: Date): void {
  if (!existsSync(path)) return
  const fd = openSync(path, 'r')
  try {
    const { size } = fstatSync(fd)
    const tail = Buffer.alloc(Math.min(BLOCK, size))
    readSync(fd, tail, 0, tail.length, size - tail.length)
    appendFileSync(path, closingRecords(tail, at.toISOString()))
  } catch {
    // A full disk must not keep an exit from being recorded: the line stays open.
  } finally {
    closeSync(fd)
  }
}

/**
 * A container's log from the asked point on; with `follow` until the signal aborts or `isOver` says that nothing more will come, which
 * `ended` waits for. Rotations are followed through all files that are kept. Memory does not grow with the log; other work gets its turn
 * between any two blocks.
 */
export async function* readLogs(
  path: string,
  options: LogOptions,
  isOver: () => boolean,
  ended: (signal: AbortSignal) => Promise<unknown>,
): AsyncGenerator<LogEntry> {
  const reader = new LogReader(path)
  const mark = markOf(path)
  const wakeups = options.follow ? new Wakeups(path, options.signal, ended) : undefined
  try {
    if (options.tail !== undefined)
      yield* filtered(await lastOf(reader, options.tail, mark, options), options)
    for (;;) {
      const over = isOver() || isPast(options.untilMs)
      for await (const entries of reader.read()) {
        if (options.signal?.aborted) return
        yield* filtered(entries, options)
        if ((!wakeups && reader.hasPassed(mark)) || isPast(options.untilMs)) return
      }
      if (!wakeups || over || options.signal?.aborted) return
      await wakeups.next()
    }
  } finally {
    wakeups?.close()
    reader.close()
  }
}

const isPast = (untilMs: number | undefined): boolean => untilMs !== undefined && Date.now() > untilMs

/** Where a log ended when its reading began: one that is written faster than it is read has no other end. */
interface Mark {
  readonly number: number
  readonly size: number
}

function markOf(log: string): Mark {
  const file = logFiles(log).at(-1)
  return { number: file?.number ?? 0, size: file?.size ?? 0 }
}

/** The last entries that are there now; the reader stands behind them. */
async function lastOf(
  reader: LogReader,
  count: number,
  mark: Mark,
  { signal }: LogOptions,
): Promise<readonly LogEntry[]> {
  reader.seekTail(count)
  if (count === 0) return []
  let last: LogEntry[] = []
  for await (const entries of reader.read()) {
    last.push(...entries)
    if (last.length > 2 * count + BLOCK) last = last.slice(last.length - count)
    if (signal?.aborted || reader.hasPassed(mark)) break
  }
  return last.slice(-count)
}

function* filtered(entries: readonly LogEntry[], options: LogOptions): Generator<LogEntry> {
  for (const entry of entries) {
    if (options[entry.stream] === false) continue
    const atMs = Date.parse(entry.timestamp)
    if (options.sinceMs !== undefined && atMs < options.sinceMs) continue
    if (options.untilMs !== undefined && atMs > options.untilMs) continue
    yield entry
  }
}

/** A file that nobody keeps has only the name of the current one: what follows it is whatever is current now. */
const unnamed = (files: readonly LogFile[], at: number): readonly LogFile[] => (at < 0 ? files.slice(-1) : [])

interface OpenFile {
  readonly fd: number
  readonly inode: number
  readonly number: number
  offset: number
}

/** Reads a log file after file. A file that has been opened is read to its end, also when it has been dropped meanwhile. */
class LogReader {
  private file: OpenFile | undefined
  private rest: Buffer = Buffer.alloc(0)
  private readonly assembler = new LogAssembler()

  constructor(private readonly log: string) {}

  seekTail(count: number): void {
    const files = logFiles(this.log)
    const last = files.at(-1)
    const start = count === 0 && last ? { file: last, offset: last.size } : findTail(files, count)
    if (start) this.open(start.file, start.offset)
  }

  hasPassed(mark: Mark): boolean {
    const { number = 0, offset = 0 } = this.file ?? {}
    return number > mark.number || (number === mark.number && offset >= mark.size)
  }

  /** What is new, in blocks. */
  async *read(): AsyncGenerator<readonly LogEntry[]> {
    if (!this.file && !this.openNext()) return
    for (;;) {
      const current = inodeOf(this.log)
      yield* this.drain(this.file as OpenFile)
      if (this.file?.inode === current || !this.openNext()) return
    }
  }

  private async *drain(file: OpenFile): AsyncGenerator<readonly LogEntry[]> {
    const { size } = fstatSync(file.fd)
    if (size < file.offset) file.offset = 0
    while (file.offset < size) {
      const block = Buffer.alloc(Math.min(BLOCK, size - file.offset))
      const length = readSync(file.fd, block, 0, block.length, file.offset)
      if (length === 0) return
      file.offset += length
      yield this.entriesOf(block.subarray(0, length))
      await nextRound()
    }
  }

  private entriesOf(bytes: Buffer): readonly LogEntry[] {
    const { records, rest } = splitRecords(this.rest.length > 0 ? Buffer.concat([this.rest, bytes]) : bytes)
    this.rest = rest
    return records.flatMap((record) => this.assembler.push(record))
  }

  /** The file after the one being read, or the oldest. */
  private openNext(): boolean {
    const files = logFiles(this.log)
    const { file } = this
    const at = file ? files.findIndex(({ inode }) => inode === file.inode) : -1
    const later = file && at < 0 ? files.filter(({ number }) => number > file.number) : files.slice(at + 1)
    return (later.length > 0 ? later : unnamed(files, at)).some((next) => this.open(next, 0))
  }

  /** False when it has been dropped since it was listed. */
  private open(file: LogFile, offset: number): boolean {
    const fd = openIfThere(file.path)
    if (fd === undefined) return false
    this.close()
    this.rest = Buffer.alloc(0)
    this.file = { fd, inode: fstatSync(fd).ino, number: file.number, offset }
    return true
  }

  close(): void {
    if (this.file) closeSync(this.file.fd)
    this.file = undefined
  }
}

const SAFETY_MS = 1_000

/** Resolves when the log changed, was cancelled, or a second has passed (what a change event may have missed). */
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
    this.watcher = existsSync(dirname(path)) ? watch(dirname(path), ring) : undefined
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
