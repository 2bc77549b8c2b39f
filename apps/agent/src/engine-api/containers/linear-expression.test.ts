import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseExpression } from './linear-expression.js'

test.each([
  ['web', 'my-web-1', true],
  ['^web', 'my-web', false],
  ['^/?web$', 'web', true],
  ['^/?web$', '/web', true],
  ['^/?web$', 'web1', false],
  ['web|db', 'adb', true],
  ['w.b', 'wxb', true],
  ['a(bc)+d', 'abcbcd', true],
  ['[a-c]+[^0-9]$', 'abc0', false],
  ['web_\\d+', 'web_12', true],
  ['a\\.b', 'axb', false],
  ['', 'anything', true],
])('%j in %j: %s', (pattern, text, is) => {
  expect(parseExpression(pattern)?.(text)).toBe(is)
})

test.each(['(', ')', '[a', '*', 'a{2}', '\\', '\\b'])('%j is no expression that is known here', (pattern) => {
  expect(parseExpression(pattern)).toBeUndefined()
})

// Each of these takes a backtracking matcher longer than anybody lives, so that they end at all is the guarantee.
test.each([
  ['^(a+)+$', `${'a'.repeat(100_000)}b`],
  ['^(a|aa)+$', `${'a'.repeat(50_000)}b`],
  [`${'a?'.repeat(30)}${'a'.repeat(30)}b`, 'a'.repeat(30)],
  ['^(.*)*x$', 'y'.repeat(50_000)],
])('E17: %j, a pattern that takes JavaScript for ever, is answered', (pattern, text) => {
  expect(parseExpression(pattern)?.(text)).toBe(false)
})

test('what it takes as an expression means what JavaScript’s means', () => {
  const pattern = fc.string({
    unit: fc.constantFrom('a', 'b', '.', '*', '+', '?', '|', '(', ')', '^', '$', '[', ']', '-', '\\.'),
    maxLength: 8,
  })
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '.', '-'), maxLength: 6 })
  fc.assert(
    fc.property(pattern, text, (given, where) => {
      const ours = parseExpression(given)
      let theirs: RegExp
      try {
        theirs = new RegExp(given, 'u')
      } catch {
        return
      }
      // Go and we take a bracket at the beginning of a class as a member of it; a repetition after another is lazy in JavaScript.
      fc.pre(ours !== undefined && !/\[\^?\]|[*+?][*+?]|\(\?/.test(given))
      expect(ours?.(where)).toBe(theirs.test(where))
    }),
    { numRuns: 50_000 },
  )
}, 60_000)
