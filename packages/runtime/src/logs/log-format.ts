import type { LogEntry } from '../api.js'

/**
 * One record of a monitor's log: `TIME STREAM TAG TEXT`. A tag P means that the text goes on in the next record of the stream, F that a line
 * end followed. E is our own: the program ended without one.
 */
export interface LogRecord {
  readonly time: string
  readonly stream: LogEntry['stream']
  readonly tag: 'F' | 'P' | 'E'
  readonly text: Buffer
}

const SPACE = 0x20
const TIME_MAX = 64

/** A record without its line end; undefined when it is none. */
export function parseRecord(bytes: Buffer): LogRecord | undefined {
  const timeEnd = bytes.indexOf(SPACE)
  if (timeEnd < 1 || timeEnd > TIME_MAX) return undefined
  const stream = bytes.toString('latin1', timeEnd + 1, timeEnd + 7)
  if (stream !== 'stdout' && stream !== 'stderr') return undefined
  if (bytes[timeEnd + 7] !== SPACE) return undefined
  const tag = String.fromCharCode(bytes[timeEnd + 8] ?? 0)
  if (tag !== 'F' && tag !== 'P' && tag !== 'E') return undefined
  const after = bytes[timeEnd + 9]
  if (after !== undefined && after !== SPACE) return undefined
  return { time: bytes.toString('latin1', 0, timeEnd), stream, tag, text: bytes.subarray(timeEnd + 10) }
}

/** Longer lines come in pieces of this length, all but the last of them `partial`, as docker has it. */
export const PIECE_BYTES = 16_384

interface OpenLine {
  readonly timestamp: string
  readonly parts: Buffer[]
  size: number
}

/** Joins the records of one log to entries. Feed it every record in order, across rotations. */
export class LogAssembler {
  private readonly open = new Map<string, OpenLine>()

  /** The entries that this record, without its line end, makes whole: none to several. */
  push(bytes: Buffer): readonly LogEntry[] {
    const record = parseRecord(bytes)
    if (!record) return []
    const { stream, tag, text, time } = record
    const line = this.open.get(stream) ?? { timestamp: toUtc(time), parts: [], size: 0 }
    if (tag === 'E' && line.size === 0) return []
    line.parts.push(text)
    line.size += text.length
    const pieces = line.size > PIECE_BYTES ? cut(stream, line) : []
    if (tag === 'P') {
      this.open.set(stream, line)
      return pieces
    }
    this.open.delete(stream)
    return [...pieces, entryOf(stream, line.timestamp, joined(line), tag === 'E')]
  }
}

const joined = (line: OpenLine): Buffer =>
  line.parts.length === 1 && line.parts[0] ? line.parts[0] : Buffer.concat(line.parts)

/** Takes whole pieces off; at least one byte stays, so that the last piece can say how the line ended. */
function cut(stream: LogEntry['stream'], line: OpenLine): readonly LogEntry[] {
  const all = joined(line)
  const pieces: LogEntry[] = []
  let at = 0
  for (; all.length - at > PIECE_BYTES; at += PIECE_BYTES)
    pieces.push(entryOf(stream, line.timestamp, all.subarray(at, at + PIECE_BYTES), true))
  line.parts.splice(0, line.parts.length, all.subarray(at))
  line.size = all.length - at
  return pieces
}

const entryOf = (
  stream: LogEntry['stream'],
  timestamp: string,
  bytes: Buffer,
  partial: boolean,
): LogEntry => ({ stream, timestamp, line: bytes.toString('utf8'), bytes, ...(partial ? { partial } : {}) })

let lastSecond = ''
let lastUtc = ''

/** The monitor writes local time with an offset; nanoseconds are kept. */
function toUtc(time: string): string {
  const match = /^(.*?)(\.\d+)?([+-]\d{2}:\d{2}|Z)$/.exec(time)
  if (!match) return time
  const [, second = '', fraction = '', zone = ''] = match
  const key = second + zone
  if (key !== lastSecond) {
    const whole = new Date(key)
    if (Number.isNaN(whole.getTime())) return time
    lastSecond = key
    lastUtc = whole.toISOString().slice(0, 19)
  }
  return `${lastUtc}${fraction}Z`
}

/** What ends the lines a program left without a line end: they would join those of the next run, or never come out. */
export function closingRecords(log: Buffer, timestamp: string): string {
  const tags = new Map<string, string>()
  for (const bytes of splitRecords(log).records) {
    const record = parseRecord(bytes)
    if (record) tags.set(record.stream, record.tag)
  }
  return [...tags]
    .filter(([, tag]) => tag === 'P')
    .map(([stream]) => `${timestamp} ${stream} E \n`)
    .join('')
}

const NEWLINE = 0x0a

/** Whole records without their line ends, and what is left of the last one. */
export function splitRecords(bytes: Buffer): { readonly records: readonly Buffer[]; readonly rest: Buffer } {
  const records: Buffer[] = []
  let at = 0
  for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, at)) {
    records.push(bytes.subarray(at, end))
    at = end + 1
  }
  return { records, rest: bytes.subarray(at) }
}
