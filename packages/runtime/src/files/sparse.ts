import { fault } from '@berth/core'

/** GNU tar's sparse format 1.0: a pax header says the real size, and the body begins with a map of where data lies. */
export interface SparsePiece {
  readonly at: number
  readonly length: number
}

const BLOCK_BYTES = 512
const PIECES_MAX = 1_000_000

/** The pieces as the format wants them: a file that ends in a hole has an empty one at its end. */
export function closedPieces(pieces: readonly SparsePiece[], realSizeBytes: number): readonly SparsePiece[] {
  const last = pieces.at(-1)
  const end = last ? last.at + last.length : 0
  return end === realSizeBytes ? pieces : [...pieces, { at: realSizeBytes, length: 0 }]
}

/** The map as it stands before the data, to the next block. */
export function encodeSparseMap(pieces: readonly SparsePiece[]): Buffer {
  const text = [pieces.length, ...pieces.flatMap(({ at, length }) => [at, length])]
    .map((n) => `${n}\n`)
    .join('')
  const padding = (BLOCK_BYTES - (text.length % BLOCK_BYTES)) % BLOCK_BYTES
  return Buffer.concat([Buffer.from(text, 'latin1'), Buffer.alloc(padding)])
}

/** What says to a reader that a map follows. */
export const sparseRecords = (
  name: string,
  realSizeBytes: number,
): readonly (readonly [string, string])[] => [
  ['GNU.sparse.major', '1'],
  ['GNU.sparse.minor', '0'],
  ['GNU.sparse.name', name],
  ['GNU.sparse.realsize', String(realSizeBytes)],
]

export interface SparseFile {
  readonly name: string
  readonly realSizeBytes: number
}

/** The sparse file that the records of an entry tell of; undefined for any other entry. @throws archive.invalid for another format of it */
export function sparseFileOf(pax: Readonly<Record<string, string>>): SparseFile | undefined {
  const { 'GNU.sparse.major': major, 'GNU.sparse.minor': minor } = pax
  if (major === undefined && !Object.keys(pax).some((key) => key.startsWith('GNU.sparse.'))) return undefined
  const { 'GNU.sparse.name': name, 'GNU.sparse.realsize': size } = pax
  if (major !== '1' || minor !== '0' || !name || !/^\d{1,16}$/.test(size ?? ''))
    throw invalid('a sparse file is not in format 1.0')
  return { name, realSizeBytes: Number(size) }
}

/** Splits a sparse entry's body into what is written where. */
export class SparseBody {
  private numbers: number[] = []
  private digits = ''
  private mapBytes = 0
  private isMapped = false
  private padding = 0
  private piece = 0
  private done = 0

  constructor(
    private readonly realSizeBytes: number,
    private readonly write: (bytes: Buffer, at: number) => void,
  ) {}

  /** @throws archive.invalid */
  push(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length && !this.isMapped) at = this.readMap(bytes, at)
    const skipped = Math.min(this.padding, bytes.length - at)
    this.padding -= skipped
    at += skipped
    while (at < bytes.length) at = this.data(bytes, at)
  }

  private readMap(bytes: Buffer, at: number): number {
    const byte = bytes[at] ?? 0
    this.mapBytes += 1
    if (byte >= 0x30 && byte <= 0x39 && this.digits.length < 16) this.digits += String.fromCharCode(byte)
    else if (byte === 0x0a && this.digits !== '') {
      this.numbers.push(Number(this.digits))
      this.digits = ''
      if (this.numbers.length === 1 + 2 * (this.numbers[0] ?? 0)) this.endMap()
    } else throw invalid('the map of a sparse file is not a list of numbers')
    if ((this.numbers[0] ?? 0) > PIECES_MAX) throw invalid('the map of a sparse file is too long')
    return at + 1
  }

  private endMap(): void {
    this.isMapped = true
    this.padding = (BLOCK_BYTES - (this.mapBytes % BLOCK_BYTES)) % BLOCK_BYTES
    let end = 0
    for (let index = 1; index < this.numbers.length; index += 2) {
      const [start = 0, length = 0] = this.numbers.slice(index, index + 2)
      if (start < end || start + length > this.realSizeBytes)
        throw invalid('the map of a sparse file overlaps itself or goes beyond its end')
      end = start + length
    }
  }

  private data(bytes: Buffer, at: number): number {
    const [start, length] = this.numbers.slice(1 + 2 * this.piece, 3 + 2 * this.piece)
    if (start === undefined || length === undefined)
      throw invalid('a sparse file has more data than its map says')
    const count = Math.min(length - this.done, bytes.length - at)
    if (count > 0) this.write(bytes.subarray(at, at + count), start + this.done)
    this.done += count
    if (this.done === length) {
      this.piece += 1
      this.done = 0
    }
    return at + count
  }
}

const invalid = (why: string) => fault.invalidArgument('archive.invalid', why)
