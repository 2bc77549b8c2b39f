import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { belongs } from './apply'
import { reconnectDelayMs } from './backoff'
import { mergeItems } from './merge'

const item = (id: string, value = 0) => ({ id, value })

describe('mergeItems', () => {
  it('replaces what changed in its place, adds what is new and belongs, and drops what is gone', () => {
    const merged = mergeItems(
      [item('a'), item('b'), item('c')],
      { items: [item('b', 9), item('d'), item('x')], removed: ['a'] },
      ({ id }) => id !== 'x',
    )
    expect(merged).toEqual([item('b', 9), item('c'), item('d')])
  })

  it('is idempotent: a message that arrives twice changes nothing more', () => {
    const ids = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 5 })
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 }),
        fc.uniqueArray(fc.constantFrom('b', 'c', 'd')),
        ids,
        (known, changed, removed) => {
          const change = {
            items: changed.filter((id) => !removed.includes(id)).map((id) => item(id, 1)),
            removed,
          }
          const once = mergeItems(
            known.map((id) => item(id)),
            change,
            () => true,
          )
          expect(mergeItems(once, change, () => true)).toEqual(once)
        },
      ),
    )
  })
})

describe('belongs', () => {
  const task = { id: 't', serviceName: 'web', nodeName: 'server-a' }
  it.each([
    [['tasks', 'service', 'web'], true],
    [['tasks', 'service', 'db'], false],
    [['tasks', 'node', 'server-a'], true],
    [['tasks', 'node', 'server-b'], false],
    [['deployments', 'web'], true],
    [['deployments', 'db'], false],
    [['nodes'], true],
  ])('an item of web on server-a under the key %j: %s', (key, expected) => {
    expect(belongs(key, task)).toBe(expected)
  })
})

describe('reconnectDelayMs', () => {
  it('never exceeds five seconds and never hammers', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.double({ min: 0, max: 0.999, noNaN: true }), (attempt, random) => {
        const delay = reconnectDelayMs(attempt, random)
        expect(delay).toBeGreaterThanOrEqual(150)
        expect(delay).toBeLessThanOrEqual(5_000)
      }),
    )
  })
})
