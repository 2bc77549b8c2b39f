import fc from 'fast-check'
import { expect, test } from 'vitest'
import { systemClock, TestClock } from './clock.js'

test('a test clock stands still until it is advanced', async () => {
  const clock = new TestClock(1_000)
  let woken = false
  const sleep = clock.sleep(50).then(() => {
    woken = true
  })
  await clock.advance(49)
  expect([clock.nowMs(), woken]).toEqual([1_049, false])
  await clock.advance(1)
  expect([clock.nowMs(), woken]).toEqual([1_050, true])
  await sleep
})

test('sleepers wake in order of their due time and see exactly that time', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 1, maxLength: 12 }),
      async (delays) => {
        const clock = new TestClock(0)
        const seen: number[] = []
        const due: number[] = []
        for (const delay of delays)
          void clock.sleep(delay).then(() => {
            due.push(delay)
            seen.push(clock.nowMs())
          })
        await clock.advance(500)
        expect(due).toEqual([...delays].sort((a, b) => a - b))
        expect(seen).toEqual(due)
        expect(clock.nowMs()).toBe(500)
      },
    ),
    { numRuns: 30 },
  )
})

test('a sleeper that sleeps again within one advance is woken again', async () => {
  const clock = new TestClock(0)
  const ticks: number[] = []
  const loop = (async () => {
    for (let i = 0; i < 3; i++) {
      await clock.sleep(10)
      ticks.push(clock.nowMs())
    }
  })()
  await clock.advance(100)
  await loop
  expect(ticks).toEqual([10, 20, 30])
})

test.each([
  ['the test clock', new TestClock()],
  ['the system clock', systemClock],
] as const)('%s rejects an aborted sleep with the reason, before and during it', async (_name, clock) => {
  const reason = new Error('stop')
  await expect(clock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason)
  const controller = new AbortController()
  const sleep = clock.sleep(60_000, controller.signal)
  controller.abort(reason)
  await expect(sleep).rejects.toBe(reason)
})

test('a sleep that ended leaves no abort listener behind to reject later', async () => {
  const clock = new TestClock(0)
  const controller = new AbortController()
  const sleep = clock.sleep(5, controller.signal)
  await clock.advance(5)
  controller.abort(new Error('too late'))
  await expect(sleep).resolves.toBeUndefined()
})

test('the monotonic system clock never goes back', async () => {
  const before = systemClock.monotonicMs()
  await systemClock.sleep(2)
  expect(systemClock.monotonicMs()).toBeGreaterThan(before)
})
