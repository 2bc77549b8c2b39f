import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RateLimit } from './rate-limit.js'

test('the try after the last allowed one is told how long to wait, and is allowed exactly then', () => {
  const limit = new RateLimit(2, 1_000)
  expect([limit.take('a', 0), limit.take('a', 400)]).toEqual([0, 0])
  expect(limit.take('a', 500)).toBe(500)
  expect(limit.take('a', 999)).toBe(1)
  expect(limit.take('a', 1_000)).toBe(0)
})

test('keys do not share a count, and a reset forgets one', () => {
  const limit = new RateLimit(1, 1_000)
  expect([limit.take('a', 0), limit.take('b', 0)]).toEqual([0, 0])
  limit.reset('a')
  expect([limit.take('a', 1), limit.take('b', 1) > 0]).toEqual([0, true])
})

test('a refused try does not prolong the wait', () => {
  const limit = new RateLimit(1, 1_000)
  limit.take('a', 0)
  for (let at = 1; at < 1_000; at += 100) expect(limit.take('a', at)).toBe(1_000 - at)
  expect(limit.take('a', 1_000)).toBe(0)
})

test('no window of time ever holds more than the maximum', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(300), { maxLength: 60 }), (max, gaps) => {
      const limit = new RateLimit(max, 1_000)
      const allowed: number[] = []
      let now = 0
      for (const gap of gaps) {
        now += gap
        if (limit.take('a', now) === 0) allowed.push(now)
      }
      for (const at of allowed)
        expect(allowed.filter((other) => other > at - 1_000 && other <= at).length).toBeLessThanOrEqual(max)
    }),
  )
})
