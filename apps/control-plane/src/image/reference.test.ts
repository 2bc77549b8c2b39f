import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseImageName } from './reference.js'

const D = `sha256:${'a'.repeat(64)}`

test.each([
  ['nginx', undefined, 'nginx', 'latest', undefined],
  ['demo/web:1', undefined, 'demo/web', '1', undefined],
  ['berth.internal/demo/web:1', 'berth.internal', 'demo/web', '1', undefined],
  ['localhost/x', 'localhost', 'x', 'latest', undefined],
  ['10.210.0.1:7443/x/y:v1', '10.210.0.1:7443', 'x/y', 'v1', undefined],
  ['registry:5000/x', 'registry:5000', 'x', 'latest', undefined],
  [`ghcr.io/a/b@${D}`, 'ghcr.io', 'a/b', 'latest', D],
  [`a/b:1.2_3-4@${D}`, undefined, 'a/b', '1.2_3-4', D],
  ['a__b/c-d/e.f', undefined, 'a__b/c-d/e.f', 'latest', undefined],
])('%s is host %s, repository %s, tag %s, digest %s', (text, host, repository, tag, digest) => {
  expect(parseImageName(text)).toEqual({ host, repository, tag, digest })
})

describe('refused', () => {
  test.each([
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    'UPPER/x',
    'a:b:c/d e',
    '../etc',
    'a/../b',
    'demo/..',
    'a:',
    `a:${'t'.repeat(129)}`,
    'a:-x',
    'a@sha256:short',
    `a@${D}@${D}`,
    `a@${D.toUpperCase()}`,
    'a b',
    'a\nb',
    '-rf',
    'a.-b',
    'x'.repeat(201),
    'https://ghcr.io/a/b',
    'evil.example?x=/a',
    'evil.example#/a',
    'user:password@ghcr.io/a',
    'ghcr.io:port/a',
    'ghcr.io:999999/a',
    '-x.y/a',
    'a b.c/d',
    '.../a',
  ])('%j', (text) => {
    expect(() => parseImageName(text)).toThrow(expect.objectContaining({ code: 'image.reference_invalid' }))
  })
})

test('whatever is accepted is safe in a path and a URL', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9.:@/_?#-]{1,30}$/)), (text) => {
      let parsed: ReturnType<typeof parseImageName>
      try {
        parsed = parseImageName(text)
      } catch {
        return
      }
      const url = new URL(
        `https://${parsed.host ?? 'h.test'}/v2/${parsed.repository}/manifests/${parsed.tag}`,
      )
      expect(url.pathname).toBe(`/v2/${parsed.repository}/manifests/${parsed.tag}`)
      expect([url.search, url.hash, url.username]).toEqual(['', '', ''])
    }),
    { numRuns: 1_000 },
  )
})
