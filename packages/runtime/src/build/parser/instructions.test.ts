import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseDockerfile } from './instructions.js'
import { splitLines, words } from './lines.js'

const parse = (text: string, args: Record<string, string> = {}) =>
  parseDockerfile(`FROM scratch\n${text}`, args).slice(1)

describe('lines', () => {
  test('comments, blank lines and continuations are taken away, and the first line’s number stays', () => {
    const text = '# comment\n\nFROM a\nENV A=1 \\\n  # inside\n\n  B=2\r\nCMD x'
    expect(splitLines(text)).toEqual([
      { number: 3, keyword: 'FROM', rest: 'a' },
      { number: 4, keyword: 'ENV', rest: 'A=1 B=2' },
      { number: 8, keyword: 'CMD', rest: 'x' },
    ])
  })

  test('the escape directive changes the continuation, and only to what docker knows', () => {
    expect(splitLines('# escape=`\nENV A=1 `\n B=2')).toMatchObject([{ rest: 'A=1 B=2' }])
    expect(() => splitLines('# escape=x\nFROM a')).toThrow(expect.objectContaining({ code: 'build.syntax' }))
  })

  test.each([
    ['a  b\tc', ['a', 'b', 'c']],
    [`"a b" 'c d'e`, ['a b', 'c de']],
    [`a\\ b "c\\"d" 'e\\f'`, ['a b', 'c"d', 'e\\f']],
    [`"" ''`, ['', '']],
  ])('the words of %s', (text, expected) => expect(words(text)).toEqual(expected))
})

describe('instructions', () => {
  test.each<[string, unknown]>([
    ['COPY a b/', { kind: 'copy', sources: ['a'], target: 'b/', chown: undefined, chmod: undefined }],
    ['copy ["a b", "c"]', { sources: ['a b'], target: 'c' }],
    [
      'COPY --chown=1:2 --chmod=0755 a b c/',
      { sources: ['a', 'b'], target: 'c/', chown: { uid: 1, gid: 2 }, chmod: 0o755 },
    ],
    ['COPY --chown=7 a b', { chown: { uid: 7, gid: 7 } }],
    [
      'ENV A=1 B="x y"',
      {
        kind: 'env',
        pairs: [
          ['A', '1'],
          ['B', 'x y'],
        ],
      },
    ],
    ['ENV A some words', { pairs: [['A', 'some words']] }],
    ['LABEL a.b=c', { kind: 'label', pairs: [['a.b', 'c']] }],
    ['WORKDIR "/a b"', { kind: 'workdir', path: '/a b' }],
    ['USER 1:2', { kind: 'user', user: '1:2' }],
    ['EXPOSE 80 53/udp', { kind: 'expose', ports: ['80/tcp', '53/udp'] }],
    ['STOPSIGNAL SIGINT', { kind: 'stopsignal', signal: 'SIGINT' }],
    ['CMD ["a", "$B"]', { kind: 'cmd', argv: ['a', '$B'] }],
    ['ENTRYPOINT run $X', { kind: 'entrypoint', argv: ['/bin/sh', '-c', 'run $X'] }],
  ])('%s', (text, expected) => expect(parse(text)[0]).toMatchObject(expected as object))

  test.each<[string, string, string]>([
    ['COPY a b', '', 'the first instruction must be FROM'],
    ['FROM a\nFROM b', '', 'multi-stage'],
    ['FROM a AS', '', 'AS'],
    ['FROM $NONE', '', 'empty'],
    ['FROM scratch\nRUN x', ':2', 'RUN'],
    ['FROM scratch\nADD a b', ':2', 'ADD'],
    ['FROM scratch\nFLY x', ':2', 'FLY'],
    ['FROM scratch\n\nCOPY a', ':3', 'at least one source'],
    ['FROM scratch\nCOPY --from=x a b', ':2', '--from'],
    ['FROM scratch\nCOPY --chmod=9 a b', ':2', 'octal'],
    ['FROM scratch\nCOPY --chown=me a b', ':2', 'numeric'],
    ['FROM scratch\nENV novalue', ':2', 'KEY=value'],
    ['FROM scratch\nEXPOSE 0', ':2', '65535'],
    ['FROM scratch\nEXPOSE 80/sctp', ':2', 'tcp'],
    ['FROM scratch\nCMD', ':2', 'argument'],
    ['FROM scratch\n=x', ':2', 'not an instruction'],
  ])('%j is refused with its line and the reason', (text, line, why) => {
    expect(() => parseDockerfile(text, {})).toThrow(
      expect.objectContaining({
        code: expect.stringMatching(/^build\.(syntax|unsupported)$/),
        message: expect.stringMatching(new RegExp(`${line}.*${why}`)),
      }),
    )
  })
})

describe('variables', () => {
  const label = (text: string, args = {}) => {
    const last = parse(text, args).at(-1)
    return last?.kind === 'label' ? last.pairs[0]?.[1] : undefined
  }

  test.each<[string, Record<string, string>, string]>([
    ['ARG V=1\nLABEL x=$V', {}, '1'],
    ['ARG V=1\nLABEL x=$V', { V: '2' }, '2'],
    ['ARG V\nLABEL x=[$V]', {}, '[]'],
    ['LABEL x=[$V]', { V: 'not declared' }, '[]'],
    ['ARG V=1\nENV V=2\nLABEL x=$V', { V: '3' }, '2'],
    ['ENV V=2\nARG V=1\nLABEL x=$V', { V: '3' }, '2'],
    [`ARG V=1\nLABEL x=\${V}2`, {}, '12'],
    [`LABEL x=\${V:-default}`, {}, 'default'],
    [`ARG V=1\nLABEL x=\${V:-default}\${V:+set}\${W:+unset}`, {}, '1set'],
    ['ARG V=1\nLABEL x=\\$V', {}, '$V'],
    [`ARG V=1\nLABEL x='$V'`, {}, '$V'],
    ['ARG V=1\nLABEL x="$V"', {}, '1'],
    ['ARG V=1\nENV V=2 W=$V\nLABEL x=$W', {}, '1'],
    ['ARG V="two words"\nLABEL x=$V', {}, 'two words'],
    ['LABEL x=a$', {}, 'a$'],
  ])('%j with %j gives %j', (text, args, expected) => expect(label(text, args)).toBe(expected))

  test('what a variable brings is a value, never further instructions or pairs', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        const last = parse('ARG V\nENV A=$V B=fixed', { V: value }).at(-1)
        expect(last).toEqual({
          kind: 'env',
          pairs: [
            ['A', value],
            ['B', 'fixed'],
          ],
        })
      }),
      { numRuns: 1_000 },
    )
  })
})

test('no text makes the parser do anything but parse or refuse', () => {
  const pieces = fc.constantFrom(
    'FROM a\n',
    'COPY ',
    'ENV ',
    '--chown=',
    '[',
    '"',
    "'",
    '\\',
    '\n',
    '${',
    '}',
    '$A',
    ':-',
    ' ',
    '=',
    'x',
    '#',
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => {
      try {
        parseDockerfile(parts.join(''), { A: '1' })
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^build\./) })
      }
    }),
    { numRuns: 3_000 },
  )
})
