import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodePax } from './pax.js'
import { cleanPath, planEntry, xattrsOf } from './tar-entry.js'

test.each([
  ['a/b', 'a/b'],
  ['/a//b/', 'a/b'],
  ['./a/./b', 'a/b'],
  ['a/../b', 'b'],
  ['a/b/../../c', 'c'],
  ['', undefined],
  ['./', undefined],
  ['/', undefined],
  ['a/..', undefined],
  ['...', '...'],
])('the name %j is the path %j', (name, path) => expect(cleanPath(name)).toBe(path))

test.each(['..', '../a', 'a/../../b', '/..', './..', 'a\0b'])('A1: the name %j is refused', (name) =>
  expect(() => cleanPath(name)).toThrow(expect.objectContaining({ code: 'image.layer_invalid' })),
)

describe('A4: whiteouts', () => {
  test.each([
    ['.wh.x', { kind: 'whiteout', path: 'x' }],
    ['a/.wh.x', { kind: 'whiteout', path: 'a/x' }],
    ['a/.wh..hidden', { kind: 'whiteout', path: 'a/.hidden' }],
    ['a/.wh..wh..opq', { kind: 'opaque', dir: 'a' }],
    ['.wh..wh..opq', { kind: 'opaque', dir: '' }],
    ['a/.wh.d/file', { kind: 'entry', path: 'a/.wh.d/file' }],
    ['x.wh.y', { kind: 'entry', path: 'x.wh.y' }],
  ])('%s', (name, action) => expect(planEntry(name)).toEqual(action))

  test.each(['.wh.', '.wh..', '.wh...', 'a/.wh.', '.wh..wh.x', '.wh..wh..opq2'])('%s is refused', (name) =>
    expect(() => planEntry(name)).toThrow(expect.objectContaining({ code: 'image.layer_invalid' })),
  )
})

test('whatever an archive calls its entries, no path leaves the root', () => {
  const part = fc.constantFrom(
    '..',
    '.',
    '',
    'a',
    'b',
    '.wh.',
    '.wh.x',
    '.wh..wh..opq',
    '.wh...',
    '\0',
    '...',
    'é',
  )
  const names = fc.oneof(
    fc.string(),
    fc.array(part, { maxLength: 12 }).map((parts) => parts.join('/')),
  )
  fc.assert(
    fc.property(names, (name) => {
      let paths: string[]
      try {
        const action = planEntry(name)
        paths = action.kind === 'skip' ? [] : [action.kind === 'opaque' ? action.dir : action.path]
      } catch (error) {
        expect(error).toMatchObject({ code: 'image.layer_invalid' })
        return
      }
      for (const path of paths) {
        expect(path.startsWith('/')).toBe(false)
        expect(path.split('/').filter((piece) => piece === '..' || piece === '.')).toEqual([])
        expect(path).not.toContain('\0')
      }
    }),
    { numRuns: 50_000 },
  )
}, 30_000)

const record = (key: string, value: string): Buffer => {
  const rest = Buffer.from(` ${key}=${value}\n`)
  let length = rest.length
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return Buffer.concat([Buffer.from(String(length)), rest])
}

describe('pax headers', () => {
  test('every record that was written is read', () => {
    const keys = fc.stringMatching(/^[a-zA-Z.]{1,12}$/)
    fc.assert(
      fc.property(fc.dictionary(keys, fc.string(), { noNullPrototype: true }), (values) => {
        const block = Buffer.concat(Object.entries(values).map(([key, value]) => record(key, value)))
        expect(decodePax(block)).toEqual(
          Object.fromEntries(Object.entries(values).map(([k, v]) => [k, Buffer.from(v).toString()])),
        )
      }),
      { numRuns: 50_000 },
    )
  })

  test('attribute values keep every byte', () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    const body = Buffer.concat([Buffer.from(' SCHILY.xattr.user.x='), all, Buffer.from('\n')])
    const block = Buffer.concat([Buffer.from(String(body.length + 3)), body])
    expect(Buffer.from(decodePax(block)['SCHILY.xattr.user.x'] ?? '', 'latin1')).toEqual(all)
  })

  test('no block of bytes breaks the reader, makes it loop, or reaches a prototype', () => {
    const digits = fc.constantFrom('0', '-5', '999999999999', '7', '12', 'NaN', '')
    const blocks = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc
        .array(fc.tuple(digits, fc.string({ maxLength: 8 })).map(([length, text]) => `${length} ${text}=x\n`))
        .map((lines) => Buffer.from(lines.join(''))),
    )
    fc.assert(
      fc.property(blocks, (block) => {
        expect(Object.getPrototypeOf(decodePax(block))).toBe(Object.prototype)
      }),
      { numRuns: 50_000 },
    )
    expect(Object.keys(decodePax(record('__proto__', 'x')))).toEqual([])
  })
})

test('A7: attributes that steer overlayfs are never taken from an archive', () => {
  const pax = {
    'SCHILY.xattr.user.a': '1',
    'SCHILY.xattr.trusted.overlay.opaque': 'y',
    'SCHILY.xattr.user.overlay.redirect': '/',
    path: 'x',
  }
  expect(xattrsOf(pax)).toEqual([['user.a', '1']])
  expect(xattrsOf(undefined)).toEqual([])
})
