import fc from 'fast-check'
import { expect, test } from 'vitest'
import { closedPieces, encodeSparseMap, SparseBody, sparseFileOf, sparseRecords } from './sparse.js'

const pieces = fc
  .array(fc.tuple(fc.nat(5_000), fc.integer({ min: 1, max: 3_000 })), { maxLength: 30 })
  .map((gaps) => {
    let end = 0
    return gaps.map(([gap, length]) => {
      const at = end + gap
      end = at + length
      return { at, length }
    })
  })

test('what was packed with a map is written at the same places, in whatever pieces it comes', () => {
  fc.assert(
    fc.property(pieces, fc.nat(4_000), fc.integer({ min: 1, max: 1_500 }), (given, tail, step) => {
      const last = given.at(-1)
      const size = (last ? last.at + last.length : 0) + tail
      const file = Buffer.alloc(size)
      for (const [index, { at, length }] of given.entries()) file.fill(1 + (index % 255), at, at + length)
      const closed = closedPieces(given, size)
      const body = Buffer.concat([
        encodeSparseMap(closed),
        ...closed.map(({ at, length }) => file.subarray(at, at + length)),
      ])
      const made = Buffer.alloc(size)
      const reader = new SparseBody(size, (bytes, at) => void bytes.copy(made, at))
      for (let at = 0; at < body.length; at += step) reader.push(body.subarray(at, at + step))
      expect(made.equals(file)).toBe(true)
    }),
    { numRuns: 500 },
  )
})

test('the records say name and size, and no other format is taken', () => {
  expect(sparseFileOf(Object.fromEntries(sparseRecords('a/b', 7)))).toEqual({ name: 'a/b', realSizeBytes: 7 })
  expect(sparseFileOf({ path: 'x' })).toBeUndefined()
  for (const pax of [
    { 'GNU.sparse.numblocks': '1' },
    { 'GNU.sparse.major': '0', 'GNU.sparse.minor': '1', 'GNU.sparse.name': 'x', 'GNU.sparse.realsize': '1' },
    { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'x', 'GNU.sparse.realsize': '-1' },
  ])
    expect(() => sparseFileOf(pax as unknown as Record<string, string>)).toThrow('format 1.0')
})

test.each([
  ['overlapping pieces', '2\n0\n10\n5\n10\n'],
  ['a piece beyond the end', '1\n90\n20\n'],
  ['letters', '1\nx\n1\n'],
  ['an endless number', '9'.repeat(40)],
  ['too many pieces', '999999999\n'],
])('a map with %s is refused', (_, map) =>
  expect(() => new SparseBody(100, () => {}).push(Buffer.from(map.padEnd(512, '\0')))).toThrow(
    expect.objectContaining({ code: 'archive.invalid' }),
  ),
)

test('more data than the map says is refused, and nothing of it is written', () => {
  const written: number[] = []
  const body = new SparseBody(100, (bytes) => void written.push(bytes.length))
  expect(() => body.push(Buffer.concat([encodeSparseMap([{ at: 5, length: 3 }]), Buffer.alloc(9)]))).toThrow()
  expect(written).toEqual([3])
})
