import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type TarEntry, tarOf } from '../testing/tar-of.js'
import { decodePax } from './pax.js'
import type { TarHeader } from './tar-header.js'
import { TarReader } from './tar-reader.js'

interface Read {
  readonly header: TarHeader
  readonly body: string
}

function read(bytes: Buffer, chunkSize = bytes.length || 1): Read[] {
  const entries: Read[] = []
  let open: { header: TarHeader; parts: Buffer[] } | undefined
  const reader = new TarReader({
    entry: (header) => {
      open = { header, parts: [] }
    },
    data: (piece) => void open?.parts.push(Buffer.from(piece)),
    end: () => {
      if (open) entries.push({ header: open.header, body: Buffer.concat(open.parts).toString('latin1') })
      open = undefined
    },
  })
  for (let at = 0; at < bytes.length; at += chunkSize) reader.push(bytes.subarray(at, at + chunkSize))
  reader.finish()
  return entries
}

describe('an archive', () => {
  const ENTRIES: TarEntry[] = [
    { name: 'a', body: 'x'.repeat(700), mode: 0o4755, uid: 7, gid: 8, mtimeSeconds: 1_700_000_000 },
    { name: 'empty' },
    { name: 'd/', type: 'directory', mode: 0o700 },
    { name: 'l', type: 'symlink', linkname: 'a' },
    { name: `${'long/'.repeat(40)}name`, body: 'deep' },
    { name: 'dev', type: 'char', major: 5, minor: 1 },
    { name: 'big-owner', pax: { uid: '3000000', mtime: '1700000000.25' } },
  ]

  test.each([1, 7, 511, 512, 513, 100_000])('is read the same in chunks of %i bytes', (size) => {
    const found = read(tarOf(ENTRIES), size)
    expect(found.map(({ header }) => header.name)).toEqual(ENTRIES.map(({ name }) => name))
    expect(found[0]).toMatchObject({
      body: 'x'.repeat(700),
      header: { type: 'file', mode: 0o4755, uid: 7, gid: 8, mtimeSeconds: 1_700_000_000 },
    })
    expect(found[4]?.body).toBe('deep')
    expect(found[5]?.header).toMatchObject({ type: 'char', major: 5, minor: 1 })
    expect(found[6]?.header).toMatchObject({ uid: 3_000_000, mtimeSeconds: 1_700_000_000.25 })
  })

  test.each<[string, Buffer]>([
    ['ends in the middle of a file', tarOf([{ name: 'a', body: 'x'.repeat(2_000) }]).subarray(0, 1_500)],
    ['is empty', Buffer.alloc(0)],
    ['has a wrong checksum', Buffer.from(tarOf([{ name: 'a' }]).map((byte, at) => (at === 5 ? 1 : byte)))],
    ['is sparse', tarOf([{ name: 'a', pax: { 'GNU.sparse.major': '1' } }])],
    ['has a size in pax that is none', tarOf([{ name: 'a', pax: { size: '-5' } }])],
    ['goes on for ever after its end', Buffer.concat([tarOf([]), Buffer.alloc(17 * 1024 * 1024)])],
  ])('that %s is refused', (_name, bytes) => {
    expect(() => read(bytes)).toThrow(expect.objectContaining({ code: 'image.layer_invalid' }))
  })

  test('pax keys of every kind are only keys', () => {
    const [entry] = read(tarOf([{ name: 'a', pax: { __proto__: 'x', constructor: 'y' } }]))
    expect(Object.getPrototypeOf(entry?.header.pax)).toBe(Object.prototype)
    expect(({} as Record<string, unknown>).x).toBeUndefined()
  })
})

test('no bytes at all make the reader do anything but read or refuse', () => {
  const valid = tarOf([
    { name: 'a', body: 'x', pax: { path: 'b' } },
    { name: 'c', body: 'y' },
  ])
  const changes = fc.array(fc.tuple(fc.nat({ max: valid.length - 1 }), fc.nat({ max: 255 })), {
    maxLength: 6,
  })
  fc.assert(
    fc.property(changes, fc.integer({ min: 300, max: 4_096 }), (spots, chunk) => {
      const bytes = Buffer.from(valid)
      for (const [at, value] of spots) bytes[at] = value
      // So that most get past the checksum.
      for (let at = 0; at + 512 <= bytes.length; at += 512) repair(bytes.subarray(at, at + 512))
      try {
        read(bytes, chunk)
      } catch (error) {
        expect(error).toMatchObject({ code: 'image.layer_invalid' })
      }
    }),
    { numRuns: 50_000 },
  )
}, 30_000)

test('no bytes at all make pax decoding do anything but give records', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('5 ', '11 a=b\n', '=', '\n', ' ', '999 x', '-1 ', '\xff', '6 a=b\n')),
      (parts) => {
        const found = decodePax(Buffer.from(parts.join(''), 'latin1'))
        expect(Object.values(found).every((value) => typeof value === 'string')).toBe(true)
      },
    ),
    { numRuns: 50_000 },
  )
}, 30_000)

function repair(block: Buffer): void {
  if (block.toString('latin1', 257, 262) !== 'ustar') return
  block.fill(' ', 148, 156)
  let sum = 0
  for (const byte of block) sum += byte
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
}
