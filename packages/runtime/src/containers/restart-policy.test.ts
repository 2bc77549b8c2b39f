import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RestartPolicy } from '../api.js'
import { planRestart, type RunEnd, startsAtOpen } from './restart-policy.js'

const ALWAYS: RestartPolicy = { name: 'always' }
const UNLESS_STOPPED: RestartPolicy = { name: 'unless-stopped' }
const onFailure = (retriesMax: number): RestartPolicy => ({ name: 'on-failure', retriesMax })

const end = (change: Partial<RunEnd>): RunEnd => ({
  policy: ALWAYS,
  exitCode: 0,
  stoppedByHand: false,
  restartCount: 0,
  ranMs: 50,
  lastDelayMs: undefined,
  ...change,
})

describe('after an end', () => {
  test.each<[string, Partial<RunEnd>, boolean]>([
    ['no policy, no restart', { policy: { name: 'no' }, exitCode: 1 }, false],
    ['always restarts after success', {}, true],
    ['always restarts after failure', { exitCode: 1 }, true],
    ['always rests after a stop by hand', { stoppedByHand: true }, false],
    ['unless-stopped restarts', { policy: UNLESS_STOPPED }, true],
    ['unless-stopped rests after a stop by hand', { policy: UNLESS_STOPPED, stoppedByHand: true }, false],
    ['on-failure rests after success', { policy: onFailure(0) }, false],
    ['on-failure restarts after failure', { policy: onFailure(0), exitCode: 1 }, true],
    [
      'on-failure without a number has no end',
      { policy: onFailure(0), exitCode: 1, restartCount: 1e6 },
      true,
    ],
    ['on-failure:3 restarts a third time', { policy: onFailure(3), exitCode: 1, restartCount: 2 }, true],
    ['on-failure:3 gives up then', { policy: onFailure(3), exitCode: 1, restartCount: 3 }, false],
    [
      'on-failure rests after a stop by hand',
      { policy: onFailure(0), exitCode: 137, stoppedByHand: true },
      false,
    ],
  ])('%s', (_name, change, isRestarted) => {
    expect(planRestart(end(change)) !== undefined).toBe(isRestarted)
  })

  test('the pause begins with 100 ms, doubles up to a minute and begins again after a steady run', () => {
    const pauses: number[] = []
    let lastDelayMs: number | undefined
    for (let round = 0; round < 12; round++) {
      lastDelayMs = planRestart(end({ lastDelayMs }))?.delayMs
      pauses.push(lastDelayMs ?? -1)
    }
    expect(pauses).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 60_000, 60_000])
    expect(planRestart(end({ lastDelayMs: 60_000, ranMs: 9_999 }))).toEqual({ delayMs: 60_000 })
    expect(planRestart(end({ lastDelayMs: 60_000, ranMs: 10_000 }))).toEqual({ delayMs: 100 })
  })

  test('whatever happened, a pause is from 100 ms to a minute', () => {
    fc.assert(
      fc.property(fc.nat(), fc.option(fc.integer({ min: 100, max: 60_000 })), (ranMs, last) => {
        const { delayMs = 0 } = planRestart(end({ ranMs, lastDelayMs: last ?? undefined })) ?? {}
        expect(delayMs).toBeGreaterThanOrEqual(100)
        expect(delayMs).toBeLessThanOrEqual(60_000)
      }),
    )
  })
})

test.each<[RestartPolicy, boolean, boolean, boolean]>([
  [ALWAYS, true, false, true],
  [ALWAYS, true, true, true],
  [ALWAYS, false, false, false],
  [UNLESS_STOPPED, true, false, true],
  [UNLESS_STOPPED, true, true, false],
  [onFailure(0), true, false, false],
  [{ name: 'no' }, true, false, false],
])('at open %j (has run %s, stopped by hand %s) starts: %s', (policy, hasRun, byHand, starts) => {
  expect(startsAtOpen(policy, hasRun, byHand)).toBe(starts)
})
