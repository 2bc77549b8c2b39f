import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseIgnoreRules } from './ignore-rules.js'

test.each<[string, readonly string[], readonly string[]]>([
  ['node_modules', ['node_modules', 'node_modules/a/b'], ['src/node_modules', 'node_modulesx']],
  ['**/node_modules', ['node_modules', 'src/node_modules', 'a/b/node_modules/c'], ['xnode_modules']],
  ['*.log', ['a.log'], ['b/a.log', 'a.logs']],
  ['**/*.log', ['a.log', 'b/a.log', 'b/c/.log'], ['a.txt']],
  ['*/temp*', ['a/temp', 'a/temporary.txt', 'a/temp/x'], ['temp', 'a/b/temp']],
  ['temp?', ['tempa', 'tempa/x'], ['temp', 'tempab', 'temp/']],
  ['/absolute', ['absolute'], ['a/absolute']],
  ['a/', ['a', 'a/b'], ['b']],
  ['./a//b/../c', ['a/c'], ['a/b']],
  ['dir/**', ['dir/a', 'dir/a/b'], ['dirx']],
  ['a/**/z', ['a/z', 'a/b/z', 'a/b/c/z'], ['az', 'a/zz']],
  ['**', ['a', 'a/b'], []],
  ['*\n!keep', ['a', 'a/b'], ['keep', 'keep/x']],
  ['*\n!keep\nkeep/not', ['a', 'keep/not'], ['keep/yes']],
  ['!a\na', ['a'], ['b']],
  ['# comment\n #not', ['#not'], ['comment']],
  ['\uFEFFa\r\n\r\n  b  ', ['a', 'b'], ['c']],
  ['[a-c]x', ['ax', 'cx'], ['dx', '/x']],
  ['[^a]x', ['bx'], ['ax']],
  ['\\*', ['*'], ['a']],
  ['a.b', ['a.b'], ['aXb']],
  ['a+(b)|c$', ['a+(b)|c$'], ['aab']],
])('%j ignores %j and not %j', (text, ignored, kept) => {
  const rules = parseIgnoreRules(text)
  expect(ignored.filter((path) => !rules.ignores(path))).toEqual([])
  expect(kept.filter((path) => rules.ignores(path))).toEqual([])
})

test.each([
  ['a\n!', 2],
  ['[a', 1],
  ['x\n\ny\\', 3],
  ['[z-a]', 1],
])('%j is refused at line %i', (text, line) => {
  expect(() => parseIgnoreRules(text)).toThrow(
    expect.objectContaining({ code: 'build.ignore_invalid', params: { line } }),
  )
})

test('a pattern made to be slow is not', () => {
  const rules = parseIgnoreRules(`${'*a'.repeat(200)}b\n${'**/a'.repeat(200)}b`)
  expect(rules.ignores('a'.repeat(4_000))).toBe(false)
})

test('fuzz: any text is refused with a line, or decides for any path', () => {
  const text = fc.string({
    unit: fc.constantFrom('*', '?', '[', ']', '^', '-', '\\', '/', '!', '#', '.', 'a', 'b', ' ', '\n', '\r'),
    maxLength: 20,
  })
  const path = fc.string({ unit: fc.constantFrom('a', 'b', '.', '/', '-', '*'), maxLength: 10 })
  fc.assert(
    fc.property(text, path, (given, where) => {
      try {
        expect(typeof parseIgnoreRules(given).ignores(where)).toBe('boolean')
      } catch (error) {
        expect(error).toMatchObject({ code: 'build.ignore_invalid' })
      }
    }),
    { numRuns: 50_000 },
  )
}, 120_000)

test('fuzz: bytes of any kind', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (given) => {
      try {
        parseIgnoreRules(given).ignores('a/b')
      } catch (error) {
        expect(error).toMatchObject({ code: 'build.ignore_invalid' })
      }
    }),
    { numRuns: 5_000 },
  )
})
