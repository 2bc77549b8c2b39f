import { closeSync, fstatSync, readSync } from 'node:fs'
import { type LogFile, openIfThere } from './log-files.store.js'
import { parseRecord, splitRecords } from './log-format.js'

const BLOCK = 256 * 1024
const NEWLINE = 0x0a

/** Where reading must begin so that the last `count` entries come out whole. */
export interface TailStart {
  readonly file: LogFile
  readonly offset: number
}

/**
 * Finds it from the end. A line of the other stream may be open there; it is followed back for one block, and readers drop what they get too
 * much of.
 */
export function findTail(files: readonly LogFile[], count: number): TailStart | undefined {
  const search = new TailSearch(count)
  for (const file of [...files].reverse()) {
    const offset = searchFile(file, search)
    if (offset !== undefined) return { file, offset }
  }
  return files[0] && { file: files[0], offset: 0 }
}

/** Goes back record by record. */
class TailSearch {
  private found = 0
  private slackBytes = BLOCK
  private readonly closed = new Set<string>()

  constructor(private readonly count: number) {}

  /** Whether reading can begin after this record. */
  isBefore(bytes: Buffer): boolean {
    const record = parseRecord(bytes)
    if (this.found > this.count) this.slackBytes -= bytes.length + 1
    if (!record || record.tag === 'P') return this.slackBytes < 0
    this.found += 1
    if (this.found > this.count) this.closed.add(record.stream)
    return this.closed.size === 2 || this.slackBytes < 0
  }
}

function searchFile(file: LogFile, search: TailSearch): number | undefined {
  const fd = openIfThere(file.path)
  if (fd === undefined) return undefined
  try {
    let carry = Buffer.alloc(0)
    for (let end = fstatSync(fd).size; end > 0; ) {
      const start = Math.max(0, end - BLOCK)
      const block = Buffer.alloc(end - start)
      readSync(fd, block, 0, block.length, start)
      const all = Buffer.concat([block, carry])
      // A block begins in the middle of a record, which the block before has the beginning of.
      const first = start === 0 ? 0 : all.indexOf(NEWLINE) + 1
      const offset = searchBlock(all.subarray(first), search)
      if (offset !== undefined) return start + first + offset
      carry = Buffer.from(all.subarray(0, first))
      end = start
    }
    return undefined
  } finally {
    closeSync(fd)
  }
}

function searchBlock(bytes: Buffer, search: TailSearch): number | undefined {
  const { records, rest } = splitRecords(bytes)
  let end = bytes.length - rest.length
  for (const record of [...records].reverse()) {
    if (search.isBefore(record)) return end
    end -= record.length + 1
  }
  return undefined
}
