import { Fault } from '@berth/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EMPTY_CONFIG } from '../graph/image-config.js'
import { planGraph } from '../graph/plan-graph.js'
import { parseDockerfile } from './parse-dockerfile.js'

const plan = (source: string | Uint8Array) =>
  planGraph(parseDockerfile(source), { buildArgs: {}, buildPlatform: 'linux/amd64' }, () => EMPTY_CONFIG)

const failureOf = (work: () => unknown): Fault => {
  try {
    work()
  } catch (error) {
    if (error instanceof Fault) return error
    throw error
  }
  throw new Error('nothing was refused')
}

describe('C8: what is too much or no text is one error with a place', () => {
  test.each<[string, () => string | Uint8Array]>([
    ['more text than 16 MiB', () => `FROM a\n${'#'.repeat(17 * 1024 * 1024)}`],
    ['100,000 instructions', () => `FROM a\n${'ENV a=b\n'.repeat(100_000)}`],
    ['no UTF-8', () => new Uint8Array([0x46, 0xff, 0xfe])],
    ['a heredoc without end', () => 'FROM a\nRUN <<EOF\nx\n'],
    ['a variable that is nested without end', () => `FROM a\nENV x=${'${y:-'.repeat(10_000)}`],
    [
      'a variable that grows without end',
      () => `FROM a\nENV a=xxxxxxxxxx\n${'ENV a=$a$a$a$a$a$a$a$a\n'.repeat(20)}`,
    ],
    ['an empty file', () => ''],
    ['comments only', () => '# a\n#b\n'],
    ['a directive twice', () => '# escape=`\n# escape=`\nFROM a'],
    ['an escape that is none', () => '# escape=x\nFROM a'],
  ])('%s', (_what, text) => {
    const failure = failureOf(() => plan(text()))
    expect(failure).toMatchObject({ code: 'build.syntax', params: { line: expect.any(Number) } })
    expect(failure.message.length).toBeLessThan(2_000)
  })

  test('a line of 10 MB is taken as it is', () => {
    const long = 'x'.repeat(10 * 1024 * 1024)
    const result = plan(`FROM a\nRUN echo ${long}`)
    expect(result.kind === 'planned' && result.graph.vertices.length).toBe(2)
  })

  test('a trigger of a base that triggers again is refused, so that none goes on for ever', () => {
    const dockerfile = parseDockerfile('FROM a')
    const base = { ...EMPTY_CONFIG, onBuild: ['ONBUILD RUN x'] }
    const options = { buildArgs: {}, buildPlatform: 'linux/amd64' }
    expect(failureOf(() => planGraph(dockerfile, options, () => base)).code).toBe('build.syntax')
  })
})

test('an error has line and column, the line itself, and what was most likely meant', () => {
  const failure = failureOf(() => parseDockerfile('FROM a\n\n  COYP a b\n'))
  expect(failure.message).toBe(
    'Dockerfile:3:3: unknown instruction: COYP (did you mean COPY?)\n  3 | COYP a b',
  )
  expect(failure.params).toEqual({ line: 3, column: 3 })
})

const words = fc.constantFrom(
  ...[
    'FROM',
    'RUN',
    'COPY',
    'ADD',
    'ENV',
    'ARG',
    'LABEL',
    'CMD',
    'EXPOSE',
    'HEALTHCHECK',
    'ONBUILD',
    'SHELL',
    'USER',
    'VOLUME',
  ],
  ...[
    'WORKDIR',
    'STOPSIGNAL',
    'AS',
    'a',
    'b=c',
    '$x',
    '${x:-y}',
    '<<EOF',
    'EOF',
    '["a"]',
    '["a',
    '--from=a',
    '--mount=type=cache,target=/x',
  ],
  ...[
    '--',
    '\\',
    '\n',
    '\n',
    '\n',
    '#',
    '"',
    "'",
    '80/tcp',
    '/',
    'NONE',
    '--interval=1s',
    'scratch',
    '# escape=`',
    '\r\n',
    '\t',
  ],
)
const texts = fc.array(words, { maxLength: 25 }).map((parts) => parts.join(' ').replaceAll(' \n ', '\n'))

test('fuzz: any text becomes a graph, or is refused with a place', () => {
  fc.assert(
    fc.property(texts, (text) => {
      try {
        expect(plan(`FROM a\n${text}`).kind).toBe('planned')
      } catch (error) {
        expect(error).toMatchObject({ code: 'build.syntax', params: { line: expect.any(Number) } })
      }
    }),
    { numRuns: 50_000 },
  )
}, 300_000)

test('fuzz: bytes of any kind', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      try {
        plan(bytes)
      } catch (error) {
        expect(error).toMatchObject({ code: 'build.syntax' })
      }
    }),
    { numRuns: 5_000 },
  )
})

test('equal inputs give equal ids, and each vertex comes after what it is made of', () => {
  fc.assert(
    fc.property(texts, (text) => {
      const once = tried(text)
      if (once?.kind !== 'planned') return
      expect(tried(text)).toEqual(once)
      const seen = new Set<string>()
      for (const { id, operation } of once.graph.vertices) {
        if ('base' in operation) expect(seen).toContain(operation.base)
        seen.add(id)
      }
      expect(seen).toContain(once.graph.target.root)
    }),
    { numRuns: 5_000 },
  )
}, 120_000)

const tried = (text: string) => {
  try {
    return plan(`FROM a\n${text}`)
  } catch {
    return undefined
  }
}
