import type { VolumeChunk, VolumeExport } from '../../api.js'
import { CHUNK_BYTES, invalid } from './chunks.js'

/**
 * An export as one stream: a line of JSON that says what it is, then for each chunk a line of JSON and its bytes.
 * `{"berthVolume":1,"export":ID,"volume":NAME,"labels":{},"fromChunk":N}`, `{"chunk":N,"length":BYTES,"digest":"sha256:…","isLast":false}`.
 */
export async function* encodeExport(source: VolumeExport): AsyncGenerator<Uint8Array> {
  const { id, volume, labels, fromChunk } = source
  yield line({ berthVolume: 1, export: id, volume, labels, fromChunk })
  for await (const { number, bytes, digest, isLast } of source.chunks) {
    yield line({ chunk: number, length: bytes.length, digest, isLast })
    yield bytes
  }
}

const line = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value)}\n`)

/** Reads what `encodeExport` wrote. @throws volume.import_invalid */
export async function decodeExport(stream: AsyncIterable<Uint8Array>): Promise<VolumeExport> {
  const reader = new ByteReader(stream)
  const head = await reader.json()
  if (head?.berthVolume !== 1) throw invalid('it does not begin as one')
  const { export: id, volume, labels, fromChunk } = head
  if (typeof id !== 'string' || typeof volume !== 'string' || !isNatural(fromChunk) || !isLabels(labels))
    throw invalid('its first line is not complete')
  return { id, volume, labels, fromChunk, chunks: chunksFrom(reader) }
}

async function* chunksFrom(reader: ByteReader): AsyncGenerator<VolumeChunk> {
  for (;;) {
    const head = await reader.json()
    if (!head) return
    const { chunk: number, length, digest, isLast } = head
    if (!isNatural(number) || !isNatural(length) || length > CHUNK_BYTES || typeof digest !== 'string')
      throw invalid('the line before a chunk is not complete')
    const bytes = await reader.take(length)
    if (!bytes) return
    yield { number, bytes, digest, isLast: isLast === true }
    if (isLast === true) return reader.end()
  }
}

const isNatural = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0
const isLabels = (value: unknown): value is Readonly<Record<string, string>> =>
  value !== null && typeof value === 'object' && Object.values(value).every((one) => typeof one === 'string')

const LINE_MAX_BYTES = 65_536

/** Lines and pieces of a stream; undefined where it ends in the middle of one. */
class ByteReader {
  private rest: Buffer = Buffer.alloc(0)
  private readonly pieces: AsyncIterator<Uint8Array>

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.pieces = stream[Symbol.asyncIterator]()
  }

  async json(): Promise<Readonly<Record<string, unknown>> | undefined> {
    for (;;) {
      const end = this.rest.indexOf(0x0a)
      if (end < 0 && this.rest.length > LINE_MAX_BYTES) throw invalid('a line is longer than 64 KiB')
      if (end < 0 && (await this.more())) continue
      if (end < 0) return undefined
      const text = this.rest.toString('utf8', 0, end)
      this.rest = this.rest.subarray(end + 1)
      return parsed(text)
    }
  }

  async take(length: number): Promise<Buffer | undefined> {
    const pieces = [this.rest]
    let count = this.rest.length
    while (count < length) {
      this.rest = Buffer.alloc(0)
      if (!(await this.more())) return undefined
      pieces.push(this.rest)
      count += this.rest.length
    }
    const all = Buffer.concat(pieces)
    this.rest = all.subarray(length)
    return all.subarray(0, length)
  }

  /** Whoever writes the stream learns that it was read. @throws volume.import_invalid when it goes on */
  async end(): Promise<void> {
    if (this.rest.length > 0 || (await this.more())) throw invalid('it goes on after its last chunk')
  }

  private async more(): Promise<boolean> {
    const { done, value } = await this.pieces.next()
    if (done) return false
    this.rest = this.rest.length === 0 ? Buffer.from(value) : Buffer.concat([this.rest, value])
    return true
  }
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    if (value !== null && typeof value === 'object') return value as Readonly<Record<string, unknown>>
  } catch {
    // Told below.
  }
  throw invalid('a line is not JSON')
}
