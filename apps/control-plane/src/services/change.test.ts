import fc from 'fast-check'
import { expect, test } from 'vitest'
import { aSpec } from '../testing/builders.js'
import { classifyChange, stable } from './change.js'

test.each([
  ['nothing', {}, false, 'none'],
  ['the count', { replicas: 4 }, false, 'replicas'],
  ['the image’s digest behind the same tag', {}, true, 'release'],
  ['the count and the image', { replicas: 4 }, true, 'release'],
  ['an environment variable', { task: { env: { A: '1' } } }, false, 'release'],
  ['a port', { ports: [{ targetPort: 1, publishedPort: 1 }] }, false, 'release'],
  ['the update policy', { update: { parallelism: 2 } }, false, 'release'],
  ['the count and a label', { replicas: 4, labels: { a: 'b' } }, false, 'release'],
] as const)('a change of %s', (_what, more, imageChanged, kind) => {
  expect(classifyChange(aSpec(), aSpec(more as object), imageChanged)).toBe(kind)
})

test('the order in which keys were written is no change', () => {
  const a = aSpec({ task: { env: { A: '1', B: '2' } }, labels: { x: '1', y: '2' } })
  const b = aSpec({ labels: { y: '2', x: '1' }, task: { env: { B: '2', A: '1' } } })
  expect(classifyChange(a, b, false)).toBe('none')
})

test('the order of arguments is one', () => {
  const a = aSpec({ task: { command: ['a', 'b'] } })
  expect(classifyChange(a, aSpec({ task: { command: ['b', 'a'] } }), false)).toBe('release')
})

test('stable text is JSON of the same value, whatever the key order', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(stable(value))).toEqual(JSON.parse(JSON.stringify(value)))
      expect(stable(reversed(value))).toBe(stable(value))
    }),
  )
})

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, item]) => [key, reversed(item)]),
  )
}
