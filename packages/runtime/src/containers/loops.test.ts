import { type ContainerId, silentLogger, TestClock } from '@berth/core'
import { describe, expect, test } from 'vitest'
import type { HealthState } from '../api.js'
import type { ContainerRow } from './containers.store.js'
import type { HealthConfig } from './health.js'
import { HealthChecks } from './health.loop.js'
import { Restarts } from './restarts.loop.js'
import { Turns } from './turns.js'
import { Waits } from './waits.js'

const id = (letter: string) => letter.repeat(64) as ContainerId
const A = id('a')
const B = id('b')

describe('restarts', () => {
  const setUp = () => {
    const clock = new TestClock()
    const started: string[] = []
    const gates: (() => void)[] = []
    const restarts = new Restarts({
      clock,
      restart: (one) => {
        started.push(one.charAt(0))
        return new Promise((resolve) => gates.push(resolve))
      },
    })
    return { clock, started, gates, restarts }
  }

  test('come when their time has come, not before', async () => {
    const { clock, started, restarts } = setUp()
    restarts.schedule(A, 100)
    await clock.advance(99)
    expect(started).toEqual([])
    await clock.advance(1)
    expect(started).toEqual(['a'])
  })

  test('are cancelled and replaced', async () => {
    const { clock, started, restarts } = setUp()
    restarts.schedule(A, 100)
    restarts.schedule(B, 100)
    restarts.schedule(A, 500)
    expect([restarts.cancel(B), restarts.cancel(B)]).toEqual([true, false])
    await clock.advance(400)
    expect(started).toEqual([])
    await clock.advance(100)
    expect(started).toEqual(['a'])
  })

  test('go four at a time; one that was cancelled while it queued does not come', async () => {
    const { clock, started, gates, restarts } = setUp()
    for (const letter of 'abcdefg') restarts.schedule(id(letter), 0)
    await clock.advance(0)
    expect(started.join('')).toBe('abcd')
    restarts.cancel(id('e'))
    gates.shift()?.()
    await clock.advance(0)
    expect(started.join('')).toBe('abcdf')
    gates.shift()?.()
    await clock.advance(0)
    expect(started.join('')).toBe('abcdfg')
  })

  test('end with the runtime', async () => {
    const { clock, started, restarts } = setUp()
    restarts.schedule(A, 1)
    restarts.close()
    restarts.schedule(B, 1)
    await clock.advance(10)
    expect(started).toEqual([])
  })
})

describe('health checks', () => {
  const config: HealthConfig = {
    argv: ['/check'],
    intervalMs: 1_000,
    timeoutMs: 500,
    retries: 2,
    startPeriodMs: 0,
    startIntervalMs: 100,
    onUnhealthy: 'restart',
  }
  const setUp = (codes: number[]) => {
    const clock = new TestClock()
    let row = {
      id: A,
      state: 'running',
      startedAt: new Date(clock.nowMs()).toISOString(),
      health: { status: 'starting', failingStreak: 0, log: [] },
    } as unknown as ContainerRow
    const reactions: string[] = []
    const checks = new HealthChecks({
      ...{ clock, logger: silentLogger },
      probe: async () => {
        const exitCode = codes.shift()
        if (exitCode === undefined) throw new Error('no such program')
        return { exitCode, output: '' }
      },
      find: () => row,
      record: (_id, health) => {
        row = { ...row, health }
      },
      react: async (_id, action) => void reactions.push(action),
    })
    checks.follow(A, config)
    return {
      clock,
      checks,
      reactions,
      health: (): HealthState | undefined => row.health,
      set: (change: Partial<ContainerRow>) => {
        row = { ...row, ...change }
      },
    }
  }

  test('come after each interval, and a probe that cannot be made is a failure', async () => {
    const { clock, health, reactions } = setUp([0])
    await clock.advance(999)
    expect(health()?.log).toEqual([])
    await clock.advance(1)
    expect(health()).toMatchObject({ status: 'healthy' })
    await clock.advance(2_000)
    expect(health()).toMatchObject({ status: 'unhealthy', failingStreak: 2 })
    expect(health()?.log.at(-1)).toMatchObject({ exitCode: -1, output: 'no such program' })
    expect(reactions).toEqual(['restart'])
    await clock.advance(2_000)
    expect(reactions).toEqual(['restart'])
  })

  test('rest while it is paused and after they were left', async () => {
    const { clock, checks, health, set } = setUp([0, 0, 0])
    set({ state: 'paused' })
    await clock.advance(5_000)
    expect(health()?.log).toEqual([])
    set({ state: 'running' })
    await clock.advance(1_000)
    expect(health()?.log).toHaveLength(1)
    checks.leave(A)
    await clock.advance(5_000)
    expect(health()?.log).toHaveLength(1)
  })
})

test('turns of one key come one after another, of different keys together, also after a failure', async () => {
  const turns = new Turns<string>()
  const order: string[] = []
  const gate = Promise.withResolvers<void>()
  const failing = turns.take('a', async () => {
    await gate.promise
    order.push('a1')
    throw new Error('a1 failed')
  })
  const next = turns.take('a', async () => void order.push('a2'))
  await turns.take('b', async () => void order.push('b1'))
  gate.resolve()
  await expect(failing).rejects.toThrow('a1 failed')
  await next
  await turns.idle()
  expect(order).toEqual(['b1', 'a1', 'a2'])
})

describe('waits', () => {
  const EXIT = { code: 3, oomKilled: false }
  test('an exit is told to everyone who waits for it, once, and a removal to all', async () => {
    const waits = new Waits<string>()
    const exits = [waits.next('a', 'exit'), waits.next('a', 'exit')]
    const removal = waits.next('a', 'removal')
    waits.exited('b', { code: 9, oomKilled: false })
    waits.exited('a', EXIT)
    expect(await Promise.all(exits)).toEqual([EXIT, EXIT])
    const late = waits.next('a', 'exit')
    waits.removed('a', EXIT)
    expect(await Promise.all([removal, late])).toEqual([EXIT, EXIT])
  })

  test('who gives up is told nothing more', async () => {
    const waits = new Waits<string>()
    const stop = new AbortController()
    const waiting = waits.next('a', 'exit', stop.signal)
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    expect(() => waits.exited('a', EXIT)).not.toThrow()
  })
})
