import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoffMs } from './backoff.js'

const policies = fc.record({
  initialMs: fc.integer({ min: 1, max: 10_000 }),
  maxMs: fc.integer({ min: 10_000, max: 3_600_000 }),
})
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

test('a delay is never above the cap and never below half of the attempt’s ceiling', () => {
  fc.assert(
    fc.property(policies, fc.integer({ min: 0, max: 2_000 }), random, (policy, attempt, chance) => {
      const ceiling = Math.min(policy.maxMs, policy.initialMs * 2 ** attempt)
      const delay = backoffMs(policy, attempt, chance)
      expect(delay).toBeLessThanOrEqual(policy.maxMs)
      expect(delay).toBeLessThanOrEqual(Math.round(ceiling))
      expect(delay).toBeGreaterThanOrEqual(Math.floor(ceiling / 2))
      expect(Number.isSafeInteger(delay)).toBe(true)
    }),
  )
})

test('with the same luck a later retry never waits less', () => {
  fc.assert(
    fc.property(policies, fc.integer({ min: 0, max: 100 }), random, (policy, attempt, chance) => {
      expect(backoffMs(policy, attempt + 1, chance)).toBeGreaterThanOrEqual(
        backoffMs(policy, attempt, chance),
      )
    }),
  )
})

test('luck spreads clients over the upper half', () => {
  const policy = { initialMs: 1_000, maxMs: 60_000 }
  expect(backoffMs(policy, 0, 0)).toBe(500)
  expect(backoffMs(policy, 0, 0.999_999)).toBe(1_000)
  expect(backoffMs(policy, 50, 0)).toBe(30_000)
})

test('a factor of one keeps the delay constant', () => {
  expect(backoffMs({ initialMs: 100, maxMs: 1_000, factor: 1 }, 9, 0)).toBe(50)
})
