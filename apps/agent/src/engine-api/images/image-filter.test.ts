import { Filters } from '@berth/engine-api'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anImage } from '../../testing/images.js'
import { fitsGlob } from './glob.js'
import { filterImages, IMAGE_FILTERS } from './image-filter.js'

describe('patterns', () => {
  test.each([
    ['busybox', 'busybox', true],
    ['busy*', 'busybox', true],
    ['busy*', 'busy/box', false],
    ['*/box', 'busy/box', true],
    ['b?sybox', 'busybox', true],
    ['b?x', 'b/x', false],
    ['*', '', true],
    ['', 'a', false],
    ['*:1', 'a:1', true],
    ['a*b*c', 'aXbYbZc', true],
    ['a*b*c', 'aXbYbZ', false],
  ])('%s against %s: %s', (pattern, text, fits) => expect(fitsGlob(pattern, text)).toBe(fits))

  test('a hostile pattern takes no longer than pattern times text', () => {
    const started = process.cpuUsage().user
    fitsGlob('*a'.repeat(5_000), 'a'.repeat(5_000).concat('b'))
    expect(process.cpuUsage().user - started).toBeLessThan(2_000_000)
  })

  test('a text fits itself with any of its letters as a question mark', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z:.]{1,20}$/), fc.nat(), (text, at) => {
        const index = at % text.length
        return fitsGlob(`${text.slice(0, index)}?${text.slice(index + 1)}`, text)
      }),
    )
  })
})

const images = [
  anImage({
    id: 'a',
    references: ['docker.io/library/web:1', 'host.example/web:2'],
    createdAt: '2026-01-01T00:00:00Z',
  }),
  anImage({ id: 'b', references: [], createdAt: '2026-01-02T00:00:00Z', labels: { tier: 'db' } }),
  anImage({ id: 'c', references: ['docker.io/me/api:1'], createdAt: '2026-01-03T00:00:00Z' }),
]
const context = {
  find: (name: string) => images.find(({ id }) => id.startsWith(`sha256:${name}`)) ?? anImage({ id: name }),
  untilMs: (text: string) => Date.parse(text),
}
const parse = (filters: Record<string, readonly string[]>) =>
  Filters.parse(JSON.stringify(filters), IMAGE_FILTERS)
const ids = (filters: Record<string, readonly string[]>) =>
  filterImages(images, parse(filters), context).map(({ id }) => id.charAt('sha256:'.length))

test.each([
  [{}, ['c', 'b', 'a']],
  [{ dangling: ['true'] }, ['b']],
  [{ dangling: ['false'] }, ['c', 'a']],
  [{ label: ['tier=db'] }, ['b']],
  [{ 'label!': ['tier'] }, ['c', 'a']],
  [{ reference: ['web'] }, ['a']],
  [{ reference: ['me/*', '*:1'] }, ['c', 'a']],
  [{ before: ['c'] }, ['b', 'a']],
  [{ since: ['a'], before: ['c'] }, ['b']],
  [{ until: ['2026-01-02T00:00:00Z'] }, ['a']],
])('%j leaves %j, newest first', (filters, left) => expect(ids(filters)).toEqual(left))

test('a reference filter shows only the names that fit', () => {
  const [web] = filterImages(images, parse({ reference: ['web:1'] }), context)
  expect(web?.references).toEqual(['docker.io/library/web:1'])
})

test('a contradictory dangling filter is refused with docker’s words', () => {
  expect(() => ids({ dangling: ['true', 'false'] })).toThrow("invalid filter 'dangling=[true false]'")
})
