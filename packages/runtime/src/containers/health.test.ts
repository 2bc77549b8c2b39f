import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { HealthState } from '../api.js'
import { freshHealth, healthConfig, nextHealth, probePauseMs } from './health.js'

const STARTED = 1_000_000
const CONFIG = { retries: 3, startPeriodMs: 1_000 }
const result = (exitCode: number, atMs: number, output = '') => ({
  startedAtMs: STARTED + atMs,
  finishedAtMs: STARTED + atMs + 5,
  exitCode,
  output,
})
const after = (codes: readonly number[], from = 2_000, config = CONFIG): HealthState =>
  codes.reduce(
    (state, code, index) => nextHealth(state, result(code, from + index), config, STARTED),
    freshHealth(undefined),
  )

describe('health', () => {
  test.each<[readonly number[], HealthState['status'], number]>([
    [[], 'starting', 0],
    [[0], 'healthy', 0],
    [[1], 'starting', 1],
    [[1, 1], 'starting', 2],
    [[1, 1, 1], 'unhealthy', 3],
    [[0, 1, 1], 'healthy', 2],
    [[0, 1, 1, 1], 'unhealthy', 3],
    [[0, 1, 1, 0, 1, 1], 'healthy', 2],
    [[1, 1, 1, 0], 'healthy', 0],
    [[-1, -1, -1], 'unhealthy', 3],
    [[2, 127, 255], 'unhealthy', 3],
  ])('after the exit codes %j it is %s with a streak of %i', (codes, status, failingStreak) => {
    expect(after(codes)).toMatchObject({ status, failingStreak })
  })

  test('failures within the start period do not count until it has been healthy once', () => {
    expect(after([1, 1, 1, 1], 0)).toMatchObject({ status: 'starting', failingStreak: 0 })
    expect(after([0, 1, 1, 1], 0)).toMatchObject({ status: 'unhealthy', failingStreak: 3 })
    expect(nextHealth(freshHealth(undefined), result(1, 1_000), CONFIG, STARTED).failingStreak).toBe(1)
  })

  test('the last five probes are kept, with at most 4,096 bytes each and no half character', () => {
    const long = nextHealth(freshHealth(undefined), result(1, 0, 'é'.repeat(5_000)), CONFIG, STARTED)
    const [entry] = long.log
    expect(Buffer.byteLength(entry?.output ?? '')).toBeLessThanOrEqual(4_096)
    expect(entry?.output).toMatch(/^é+$/)
    expect(after([1, 2, 3, 4, 5, 6]).log.map(({ exitCode }) => exitCode)).toEqual([2, 3, 4, 5, 6])
  })

  test('is unhealthy exactly when the streak reached the retries', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 30 }), (codes) => {
        const state = after(codes)
        const streak = [...codes].reverse().indexOf(0)
        const failing = streak < 0 ? codes.length : streak
        expect(state.failingStreak).toBe(failing)
        expect(state.status === 'unhealthy').toBe(failing >= CONFIG.retries)
      }),
    )
  })
})

describe('a check', () => {
  const image = { health: undefined, shell: [] as readonly string[] }
  const spec = { name: 'x', image: 'x' }
  test('has docker’s defaults, and a zero means them', () => {
    const defaults = {
      intervalMs: 30_000,
      timeoutMs: 30_000,
      retries: 3,
      startPeriodMs: 0,
      startIntervalMs: 5_000,
    }
    expect(healthConfig({ ...spec, health: { test: { exec: ['/ok'] } } }, image)).toEqual({
      argv: ['/ok'],
      onUnhealthy: 'none',
      ...defaults,
    })
    const zero = { test: { exec: ['/ok'] }, intervalMs: 0, timeoutMs: 0, retries: 0, startIntervalMs: 0 }
    expect(healthConfig({ ...spec, health: zero }, image)).toMatchObject(defaults)
  })

  test('is the spec’s, else the image’s, and `none` takes it away', () => {
    const own = { ...image, health: { test: { exec: ['/image'] } } }
    expect(healthConfig(spec, image)).toBeUndefined()
    expect(healthConfig(spec, own)?.argv).toEqual(['/image'])
    expect(healthConfig({ ...spec, health: { test: { exec: ['/spec'] } } }, own)?.argv).toEqual(['/spec'])
    expect(healthConfig({ ...spec, health: 'none' }, own)).toBeUndefined()
  })

  test('of one line runs in the image’s shell', () => {
    const health = { test: { shell: 'exit 0' } }
    expect(healthConfig({ ...spec, health }, image)?.argv).toEqual(['/bin/sh', '-c', 'exit 0'])
    const fish = { ...image, shell: ['/bin/fish', '-c'] }
    expect(healthConfig({ ...spec, health }, fish)?.argv).toEqual(['/bin/fish', '-c', 'exit 0'])
  })

  test('is made more often only while starting within the start period', () => {
    const config = { intervalMs: 30, startPeriodMs: 1_000, startIntervalMs: 5 }
    expect(probePauseMs(after([1]), config, 999)).toBe(5)
    expect(probePauseMs(after([1]), config, 1_000)).toBe(30)
    expect(probePauseMs(after([0]), config, 0)).toBe(30)
  })
})
