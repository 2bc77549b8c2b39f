import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ExpansionError, expandWord, expandWords } from './expand.js'

const VALUES: Readonly<Record<string, string>> = {
  A: 'apple',
  EMPTY: '',
  PATH: '/usr/local/bin:/usr/bin',
  FILE: 'archive.tar.gz',
  LIST: 'one two  three',
  Ü: 'never',
}
const options = { escapeChar: '\\', lookup: (name: string) => VALUES[name] }
const word = (text: string) => expandWord(text, options)

test.each([
  ['', ''],
  ['plain', 'plain'],
  ['$A', 'apple'],
  ['${A}', 'apple'],
  ['x${A}y', 'xappley'],
  ['$A.$A', 'apple.apple'],
  ['$NOTHING', ''],
  ['$', '$'],
  ['a$', 'a$'],
  ['$.x', '$.x'],
  ['$1x', 'x'],
  ['\\$A', '$A'],
  ['\\\\$A', '\\apple'],
  ["'$A'", '$A'],
  ['"$A"', 'apple'],
  ['"\\$A"', '$A'],
  ['"\\n"', '\\n'],
  ["'\\n'", '\\n'],
  ['a\\ b', 'a b'],
  ['"a b"c', 'a bc'],
  ['a\\', 'a'],
  ['${A:-no}', 'apple'],
  ['${EMPTY:-no}', 'no'],
  ['${EMPTY-no}', ''],
  ['${NOTHING-no}', 'no'],
  ['${NOTHING:-$A}', 'apple'],
  ['${NOTHING:-${EMPTY:-${A}}}', 'apple'],
  ['${NOTHING:-"a b"}', 'a b'],
  ['${A:+yes}', 'yes'],
  ['${EMPTY:+yes}', ''],
  ['${EMPTY+yes}', 'yes'],
  ['${NOTHING+yes}', ''],
  ['${A:?why}', 'apple'],
  ['${FILE#*.}', 'tar.gz'],
  ['${FILE##*.}', 'gz'],
  ['${FILE%.*}', 'archive.tar'],
  ['${FILE%%.*}', 'archive'],
  ['${FILE#nothing}', 'archive.tar.gz'],
  ['${PATH#/}', 'usr/local/bin:/usr/bin'],
  ['${A#\\*}', 'apple'],
  ['${PATH/usr/opt}', '/opt/local/bin:/usr/bin'],
  ['${PATH//usr/opt}', '/opt/local/bin:/opt/bin'],
  ['${PATH//\\/bin/}', '/usr/local:/usr'],
  ['${PATH//bin}', '/usr/local/:/usr/'],
  ['${A/p*/x}', 'ax'],
  ['${A//p/$EMPTY}', 'ale'],
])('%j is %j', (text, expected) => expect(word(text)).toBe(expected))

test.each([
  ['$A b', ['apple', 'b']],
  ['  a   b ', ['a', 'b']],
  ['$LIST', ['one', 'two', 'three']],
  ['"$LIST"', ['one two  three']],
  ['x$LIST', ['xone', 'two', 'three']],
  ["'a b' c\\ d", ['a b', 'c d']],
  ['""', ['']],
  ['', []],
])('%j are the words %j', (text, expected) => expect(expandWords(text, options)).toEqual(expected))

describe('refused', () => {
  test.each([
    '${',
    '${}',
    '${A',
    '${A:x}',
    '${A:-x',
    "'a",
    '"a',
    '${A^}',
    '${NOTHING:?is needed}',
    '${EMPTY:?}',
    '${ A}',
    '${A/x',
  ])('%j', (text) => expect(() => word(text)).toThrow(ExpansionError))
  test('what is asked for by ? is in the message', () =>
    expect(() => word('${NOTHING:?is needed}')).toThrow('NOTHING: is needed'))
  test('a nesting without end', () =>
    expect(() => word(`${'${X:-'.repeat(10_000)}a`)).toThrow(ExpansionError))
})

test('another escape character leaves the backslash alone', () => {
  expect(expandWord('C:\\$A`$A', { ...options, escapeChar: '`' })).toBe('C:\\apple$A')
})

test('documents keep quotes and escapes', () => {
  expect(expandWord('echo "$A" \'$A\' \\n', { ...options, isRaw: true })).toBe('echo "apple" \'apple\' \\n')
})

test('an unset variable is told, one with a default is not', () => {
  const unset: string[] = []
  expandWord('$X ${Y} ${Z:-d} $A', { ...options, onUnset: (name) => unset.push(name) })
  expect(unset).toEqual(['X', 'Y'])
})

test('any text is expanded or refused', () => {
  const text = fc.string({
    unit: fc.constantFrom(
      '$',
      '{',
      '}',
      'A',
      ':',
      '-',
      '+',
      '?',
      '#',
      '%',
      '/',
      '*',
      '\\',
      "'",
      '"',
      ' ',
      'x',
    ),
    maxLength: 24,
  })
  fc.assert(
    fc.property(text, fc.boolean(), (given, isRaw) => {
      try {
        expandWords(given, { ...options, isRaw })
        expandWord(given, options)
      } catch (error) {
        expect(error).toBeInstanceOf(ExpansionError)
      }
    }),
    { numRuns: 20_000 },
  )
}, 60_000)

test('what has no special character stays as it is', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-zA-Z0-9_./:=-]*$/), (given) => {
      expect(word(given)).toBe(given)
    }),
  )
})
