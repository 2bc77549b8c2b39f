import fc from 'fast-check'
import { expect, test } from 'vitest'
import { xattrsOf } from '../layers/tar-entry.js'
import type { TarHeader } from '../layers/tar-header.js'
import { TarReader } from '../layers/tar-reader.js'
import { ARCHIVE_END, type ArchiveEntry, encodeEntry, paddingOf } from './tar-block.js'

/** Every byte but NUL, as a file system allows; latin1. */
const bytes = (maxLength: number) =>
  fc
    .array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength })
    .map((codes) => Buffer.from(codes).toString('latin1').replaceAll('/', '_'))
const path = fc.array(bytes(120), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))

const entries: fc.Arbitrary<ArchiveEntry> = fc.record({
  name: path,
  type: fc.constantFrom('file', 'link', 'symlink', 'char', 'block', 'fifo'),
  sizeBytes: fc.constant(0),
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.integer({ min: 0, max: 2 ** 32 - 2 }),
  gid: fc.integer({ min: 0, max: 2 ** 32 - 2 }),
  mtimeSeconds: fc.integer({ min: -(2 ** 33), max: 2 ** 34 }),
  linkname: path,
  major: fc.integer({ min: 0, max: 4095 }),
  minor: fc.integer({ min: 0, max: 2 ** 20 - 1 }),
  xattrs: fc.array(
    fc.tuple(
      fc.stringMatching(/^user\.[a-z]{1,8}$/),
      fc.uint8Array({ maxLength: 64 }).map((v) => Buffer.from(v)),
    ),
    { maxLength: 2 },
  ),
})

function read(archive: Buffer): readonly TarHeader[] {
  const headers: TarHeader[] = []
  const reader = new TarReader(
    { entry: (header) => headers.push(header), data: () => {}, end: () => {} },
    'latin1',
  )
  reader.push(archive)
  reader.finish()
  return headers
}

test('whatever an entry is called and has, it is read as it was written', () => {
  fc.assert(
    fc.property(entries, (entry) => {
      const [header] = read(Buffer.concat([encodeEntry(entry), ARCHIVE_END]))
      const { xattrs = [], ...fields } = entry
      expect(header).toMatchObject(fields)
      const unique = new Map(xattrs.map(([key, value]) => [key, value.toString('latin1')]))
      expect(new Map(xattrsOf(header?.pax))).toEqual(unique)
    }),
    { numRuns: 5_000 },
  )
})

test.each([0, 1, 511, 512, 0o77777777777, 0o77777777777 + 1, 2 ** 45])(
  'a size of %d bytes is kept',
  (sizeBytes) => {
    const block = encodeEntry({
      name: 'big',
      type: 'file',
      sizeBytes,
      mode: 0,
      uid: 0,
      gid: 0,
      mtimeSeconds: 0,
    })
    const headers: TarHeader[] = []
    const reader = new TarReader(
      { entry: (header) => headers.push(header), data: () => {}, end: () => {} },
      'latin1',
    )
    reader.push(block)
    expect(headers[0]?.sizeBytes).toBe(sizeBytes)
    expect((sizeBytes + paddingOf(sizeBytes)) % 512).toBe(0)
  },
)

test('names up to 255 bytes with a slash in the right place need no extension', () => {
  const name = `${'d'.repeat(150)}/${'f'.repeat(100)}`
  const block = encodeEntry({ name, type: 'file', sizeBytes: 0, mode: 0, uid: 0, gid: 0, mtimeSeconds: 0 })
  expect(block.length).toBe(512)
  expect(read(Buffer.concat([block, ARCHIVE_END]))[0]?.name).toBe(name)
})
