import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonical, formatReference, parseReference } from './reference.js'

const HEX = 'a1'.repeat(32)
const DIGEST = `sha256:${HEX}`

test.each([
  ['busybox', 'docker.io/library/busybox:latest'],
  ['busybox:1.36', 'docker.io/library/busybox:1.36'],
  ['user/app', 'docker.io/user/app:latest'],
  ['localhost/app', 'localhost/app:latest'],
  ['localhost:5000/app:v1', 'localhost:5000/app:v1'],
  ['ghcr.io/a/b/c', 'ghcr.io/a/b/c:latest'],
  ['host:5000/a', 'host:5000/a:latest'],
  [`app@${DIGEST}`, `docker.io/library/app@${DIGEST}`],
  [`r.example/app:v1@${DIGEST}`, `r.example/app:v1@${DIGEST}`],
  ['a/b__c/d--e.f', 'docker.io/a/b__c/d--e.f:latest'],
])('%s means %s', (text, full) => expect(canonical(text)).toBe(full))

describe('E2: refused', () => {
  test.each([
    '',
    ':tag',
    'App',
    'app:',
    'app:-x',
    `app:${'t'.repeat(129)}`,
    'app@sha256:short',
    `app@sha512:${'a'.repeat(128)}`,
    `app@${DIGEST}@${DIGEST}`,
    'a//b',
    '/a',
    'a/',
    '-a/b',
    'a/-b',
    'a/../b',
    'ho st/a',
    'http://host/a',
    'host:port/a',
    'a___b',
    'a\0b',
    'a\nb',
    `a/${'b'.repeat(255)}`,
    'x'.repeat(600),
  ])('%j', (text) =>
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'image.reference_invalid' })),
  )
})

const name = fc.stringMatching(/^[a-z0-9]{1,8}([._-][a-z0-9]{1,4}){0,2}$/)
const references = fc.record({
  host: fc.constantFrom(
    'docker.io',
    'localhost',
    'localhost:5000',
    'r.example',
    '10.0.0.1:7443',
    'a-b.c-d.example:1',
  ),
  repository: fc.array(name, { minLength: 2, maxLength: 4 }).map((parts) => parts.join('/')),
  tag: fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/), { nil: undefined }),
  hasDigest: fc.boolean(),
})

test('what is written out is read back the same', () => {
  fc.assert(
    fc.property(references, ({ hasDigest, tag, ...rest }) => {
      const reference = parseReference(
        formatReference({
          ...rest,
          tag: tag ?? (hasDigest ? undefined : 'latest'),
          digest: hasDigest ? (DIGEST as never) : undefined,
        }),
      )
      expect(reference).toMatchObject(rest)
      expect(parseReference(formatReference(reference))).toEqual(reference)
    }),
    { numRuns: 50_000 },
  )
}, 30_000)

test('any text is either refused as a reference or has one spelling, which is safe in a path', () => {
  const pieces = fc.constantFrom(
    'a',
    'B',
    '/',
    ':',
    '@',
    '.',
    '..',
    '-',
    '_',
    DIGEST,
    'host.x',
    '5000',
    '\0',
    '%2f',
    ' ',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(pieces).map((parts) => parts.join('')),
      ),
      (text) => {
        let spelling: string
        try {
          spelling = canonical(text)
        } catch (error) {
          expect(error).toMatchObject({ code: 'image.reference_invalid' })
          return
        }
        expect(canonical(spelling)).toBe(spelling)
        expect(spelling.split('/')).not.toContain('..')
        expect(spelling).toMatch(/^[\x21-\x7e]+$/)
      },
    ),
    { numRuns: 50_000 },
  )
}, 30_000)

// Lengths are limited before anything is matched; within them no form makes a matcher go back and forth.
test.each([
  'a'.repeat(512),
  'a-'.repeat(255),
  `${'a.'.repeat(250)}!`,
  `${'a__'.repeat(160)}/`,
  `${'-'.repeat(500)}`,
])('E17: a name made to confuse (%#) is answered', (text) => {
  for (let round = 0; round < 2_000; round++)
    try {
      parseReference(text)
    } catch (error) {
      expect(error).toMatchObject({ code: 'image.reference_invalid' })
    }
})
