import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { aService, aTask } from '../../testing/builders.js'
import { SimulatedCluster } from '../../testing/simulated-cluster.js'
import { restartDelayMs } from './policy.js'

const NOW = 10_000_000
const policy = (restart: object) => aService({ want: { restart } })
const ended = (state: 'failed' | 'complete' | 'rejected', agoMs = 0, livedMs = 100) =>
  aTask({ state, desiredState: 'shutdown', stateSinceMs: NOW - agoMs, createdAtMs: NOW - agoMs - livedMs })
const delay = (restart: object, history: ReturnType<typeof aTask>[]) => {
  const last = history.at(-1)
  return last && restartDelayMs(policy(restart), history, last, NOW)
}

test.each([
  ['any', 'complete', 5_000],
  ['any', 'failed', 5_000],
  ['on-failure', 'complete', undefined],
  ['on-failure', 'failed', 5_000],
  ['on-failure', 'rejected', 5_000],
  ['none', 'complete', undefined],
  ['none', 'failed', undefined],
] as const)('condition %s after %s waits %s ms', (condition, state, expected) => {
  expect(delay({ condition }, [ended(state)])).toBe(expected)
})

test('failures in a row double the delay up to a minute', () => {
  const row = (count: number) => Array.from({ length: count }, (_, i) => ended('failed', (count - i) * 1_000))
  expect([1, 2, 3, 4, 5, 20].map((count) => delay({}, row(count)))).toEqual([
    5_000, 10_000, 20_000, 40_000, 60_000, 60_000,
  ])
})

test('the time a task waited for its turn is no proof that it ran well', () => {
  const waited = (startedAgoMs: number) =>
    aTask({
      state: 'failed',
      desiredState: 'shutdown',
      createdAtMs: NOW - startedAgoMs - 40_000,
      notBeforeMs: NOW - startedAgoMs,
      stateSinceMs: NOW - startedAgoMs + 500,
    })
  expect(delay({}, [waited(90_000), waited(50_000), waited(10_000)])).toBe(20_000)
})

test('a task that ran well for a while starts the count anew', () => {
  expect(delay({}, [ended('failed', 0, 3_600_000)])).toBe(5_000)
})

test('a delay that the user made longer than a minute is kept', () => {
  expect(delay({ delayMs: 600_000 }, [ended('failed')])).toBe(600_000)
})

test('no delay is shorter than the user asked for, nor longer than that or a minute', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 3_600_000 }),
      fc.integer({ min: 1, max: 60 }),
      (delayMs, failures) => {
        const waits =
          delay(
            { delayMs },
            Array.from({ length: failures }, () => ended('failed')),
          ) ?? -1
        expect(waits).toBeGreaterThanOrEqual(delayMs)
        expect(waits).toBeLessThanOrEqual(Math.max(delayMs, 60_000))
      },
    ),
  )
})

describe('attempts', () => {
  test('the limit counts restarts, and only those within the window', () => {
    const three = [ended('failed', 50_000), ended('failed', 20_000), ended('failed')]
    expect(delay({ maxAttempts: 3 }, three)).toBeDefined()
    expect(delay({ maxAttempts: 2 }, three)).toBeUndefined()
    expect(delay({ maxAttempts: 2, windowMs: 30_000 }, three)).toBeDefined()
    expect(delay({ maxAttempts: 1, windowMs: 30_000 }, three)).toBeUndefined()
  })

  test.each([0, 1, 3])(
    'a service that always fails is started exactly %s + 1 times in its slot',
    (maxAttempts) => {
      const condition = maxAttempts === 0 ? 'none' : 'any'
      const cluster = SimulatedCluster.sized(2, {
        id: 'web',
        want: { replicas: 2, restart: { condition, maxAttempts, delayMs: 1_000 } },
      })
      cluster.broken.add('web-r1')
      cluster.settle()
      expect(cluster.wanted('web')).toEqual([])
      const started = cluster.of('web')
      expect(started).toHaveLength(2 * (maxAttempts + 1))
      expect(new Set(started.map((task) => task.slot))).toEqual(new Set([1, 2]))
    },
  )
})

test('a job that ends well is not run again in another slot', () => {
  const cluster = SimulatedCluster.sized(1, {
    id: 'web',
    want: { replicas: 3, restart: { condition: 'none' } },
  })
  cluster.until('all running', () => cluster.running('web').length === 3)
  for (const task of cluster.running('web').slice(0, 1)) cluster.task(task.id, { state: 'complete' })
  cluster.settle()
  expect(cluster.running('web')).toHaveLength(2)
  expect(cluster.of('web')).toHaveLength(3)
})
