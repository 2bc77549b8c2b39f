import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { VolumeChunk } from '../../api.js'
import { CHUNK_BYTES, checkChunk, chunksOf, digestOf } from './chunks.js'
import { decodeExport, encodeExport } from './frames.js'

async function* inPieces(bytes: Uint8Array, step: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step)
}

async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

const head = { id: 'a'.repeat(32), volume: 'data', labels: { a: 'b' }, fromChunk: 3 }
const encoded = async (bytes: Uint8Array, chunkBytes: number) =>
  Buffer.concat(await all(encodeExport({ ...head, chunks: chunksOf(inPieces(bytes, 7), 3, chunkBytes) })))

describe('an export as a stream', () => {
  test('is read as it was written, whatever pieces it comes in', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 400 }),
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 200 }),
        async (bytes, chunkBytes, step) => {
          const stream = await encoded(bytes, chunkBytes)
          const { chunks, ...said } = await decodeExport(inPieces(stream, step))
          const read = await all(chunks)
          expect(said).toEqual(head)
          expect(Buffer.concat(read.map((chunk) => chunk.bytes)).equals(Buffer.from(bytes))).toBe(true)
          expect(read.map(({ number }) => number)).toEqual(read.map((_, index) => 3 + index))
          expect(read.map(({ isLast }) => isLast)).toEqual(read.map((_, index) => index === read.length - 1))
          for (const chunk of read) expect(digestOf(chunk.bytes)).toBe(chunk.digest)
        },
      ),
      { numRuns: 200 },
    )
  })

  test('that is cut off anywhere gives whole chunks only, and no last one', async () => {
    const stream = await encoded(Buffer.alloc(100, 'x'), 30)
    for (let end = 0; end < stream.length; end++) {
      const read = await decodeExport(inPieces(stream.subarray(0, end), 13)).then(
        ({ chunks }) => all(chunks),
        () => [],
      )
      expect(read.some(({ isLast }) => isLast)).toBe(false)
      for (const chunk of read) expect(digestOf(chunk.bytes)).toBe(chunk.digest)
    }
  })

  test('that is damaged is refused or read, and never breaks', async () => {
    const stream = await encoded(Buffer.alloc(100, 'x'), 30)
    await fc.assert(
      fc.asyncProperty(fc.nat(stream.length - 1), fc.nat(255), async (at, byte) => {
        const damaged = Buffer.from(stream)
        damaged[at] = byte
        await decodeExport(inPieces(damaged, 50))
          .then(({ chunks }) => all(chunks))
          .catch((error: unknown) => expect(error).toMatchObject({ code: 'volume.import_invalid' }))
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('a chunk', () => {
  const chunk = (change: Partial<VolumeChunk> = {}): VolumeChunk => {
    const bytes = Buffer.from('abc')
    return { number: 4, bytes, digest: digestOf(bytes), isLast: true, ...change }
  }
  test('in its turn is taken', () => expect(() => checkChunk(chunk(), 4)).not.toThrow())
  test.each([
    ['out of turn', chunk({ number: 5 })],
    ['damaged', chunk({ bytes: Buffer.from('abd') })],
    ['short, and not the last', chunk({ isLast: false })],
    ['too long', chunk({ bytes: Buffer.alloc(CHUNK_BYTES + 1) })],
  ])('that is %s is refused', (_, given) =>
    expect(() => checkChunk(given, 4)).toThrow(expect.objectContaining({ code: 'volume.import_invalid' })),
  )
})
