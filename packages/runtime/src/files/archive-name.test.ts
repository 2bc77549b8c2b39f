import fc from 'fast-check'
import { expect, test } from 'vitest'
import { placeOf } from './archive-name.js'

test.each([
  ['a/b', ['a', 'b']],
  ['/abs', ['abs']],
  ['./a//b/', ['a', 'b']],
  ['a/../b', ['b']],
  ['./', []],
])('%j goes to %j', (name, parts) => expect(placeOf(name, '/etc')).toEqual(parts))

test.each(['..', '../x', 'a/../../x', '/../x', 'a\0b'])('E8: the name %j is refused', (name) =>
  expect(() => placeOf(name, '/etc')).toThrow(expect.objectContaining({ code: 'archive.invalid' })),
)

test("docker's words for a name that climbs out", () =>
  expect(() => placeOf('../x', '/etc')).toThrow('"../x" is outside of "/etc"'))

test('E8: whatever an archive calls its entries, no component climbs or has a slash', () => {
  const part = fc.constantFrom('..', '.', '', 'a', '\0', '...', '\xff')
  const names = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(part, { maxLength: 10 }).map((parts) => parts.join('/')),
  )
  fc.assert(
    fc.property(names, (name) => {
      let parts: readonly string[] = []
      try {
        parts = placeOf(name, '/')
      } catch (error) {
        expect(error).toMatchObject({ code: 'archive.invalid' })
      }
      for (const piece of parts)
        if (/^\.{1,2}$|^$|[/\0]/.test(piece)) throw new Error(`${name} gives ${piece}`)
    }),
    { numRuns: 50_000 },
  )
})
