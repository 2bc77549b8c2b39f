import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestClock } from '@berth/core'
import { isTaskState, mayMove } from '@berth/domain'
import type { TaskStatus } from '@berth/proto'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AgentStore } from '../state/agent.store.js'
import { aStatus } from '../testing/builders.js'
import { Reporter } from './reporter.loop.js'

const COALESCED_MS = 20

let dir = ''
let store: AgentStore
let clock: TestClock
let reporter: Reporter

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ba-reporter-'))
  store = new AgentStore(dir)
  clock = new TestClock()
  reporter = new Reporter(store, clock)
})
afterEach(() => {
  store.close()
  rmSync(dir, { recursive: true, force: true })
})

/** The other side: keeps what it got, and answers when and how the test says. */
class Receiver {
  readonly batches: TaskStatus[][] = []
  readonly failures: unknown[] = []
  private readonly open: PromiseWithResolvers<void>[] = []
  constructor(private readonly mode: 'answers' | 'waits' = 'answers') {}

  readonly send = (statuses: TaskStatus[]): Promise<void> => {
    this.batches.push(statuses)
    if (this.mode === 'answers') return Promise.resolve()
    const answer = Promise.withResolvers<void>()
    this.open.push(answer)
    return answer.promise
  }
  readonly fail = (error: unknown): void => void this.failures.push(error)

  answer(): Promise<void> {
    this.open.shift()?.resolve()
    return settle()
  }
  break(error: Error): Promise<void> {
    this.open.shift()?.reject(error)
    return settle()
  }
  /** What it believes, as a control plane does: states only go up. */
  get believes(): Readonly<Record<string, string>> {
    const latest: Record<string, string> = {}
    for (const { taskId, state } of this.batches.flat()) {
      const before = latest[taskId]
      if (before !== undefined && isTaskState(before) && isTaskState(state) && !mayMove(before, state))
        continue
      latest[taskId] = state
    }
    return latest
  }
}

const settle = () => clock.advance(COALESCED_MS)
const attach = (receiver: Receiver) => reporter.attach(receiver.send, receiver.fail)

test('reports that come together go together, and only the latest of each task', async () => {
  const receiver = new Receiver()
  attach(receiver)
  for (const state of ['accepted', 'preparing', 'starting']) reporter.report(aStatus({ taskId: 'a', state }))
  reporter.report(aStatus({ taskId: 'b', state: 'accepted' }))
  await settle()
  expect(receiver.batches.map((batch) => batch.map(({ taskId, state }) => [taskId, state]))).toEqual([
    [
      ['a', 'starting'],
      ['b', 'accepted'],
    ],
  ])
})

test('what is reported while a batch is under way goes with the next one', async () => {
  const receiver = new Receiver('waits')
  attach(receiver)
  reporter.report(aStatus({ taskId: 'a', state: 'starting' }))
  await settle()
  reporter.report(aStatus({ taskId: 'a', state: 'running' }))
  await settle()
  expect(receiver.believes).toEqual({ a: 'starting' })
  await receiver.answer()
  expect(receiver.believes).toEqual({ a: 'running' })
})

test('without a session nothing is lost: all of it is sent when one opens', async () => {
  reporter.report(aStatus({ taskId: 'a', state: 'failed' }))
  reporter.report(aStatus({ taskId: 'b' }))
  await settle()
  const receiver = new Receiver()
  attach(receiver)
  await settle()
  expect(receiver.believes).toEqual({ a: 'failed', b: 'running' })
})

test('a new session is told everything again, even what the old one answered', async () => {
  const [first, second] = [new Receiver(), new Receiver()]
  attach(first)
  reporter.report(aStatus({ taskId: 'a' }))
  await settle()
  reporter.detach()
  attach(second)
  await settle()
  expect(second.believes).toEqual({ a: 'running' })
})

test('a restarted agent tells what it knew before', async () => {
  reporter.report(aStatus({ taskId: 'a', state: 'failed', exitCode: 3 }))
  reporter = new Reporter(store, clock)
  expect(reporter.get('a')).toMatchObject({ state: 'failed', exitCode: 3 })
  const receiver = new Receiver()
  attach(receiver)
  await settle()
  expect(receiver.believes).toEqual({ a: 'failed' })
})

test('a forgotten task is not told, not even after a restart', async () => {
  reporter.report(aStatus({ taskId: 'a' }))
  reporter.report(aStatus({ taskId: 'b' }))
  reporter.forget('a')
  reporter.forget('never there')
  reporter = new Reporter(store, clock)
  expect(reporter.taskIds()).toEqual(['b'])
})

test('many tasks go in batches of at most 500, none twice and none missing', async () => {
  const receiver = new Receiver()
  for (let n = 0; n < 1_203; n++) reporter.report(aStatus({ taskId: `t${n}` }))
  attach(receiver)
  await settle()
  expect(receiver.batches.map((batch) => batch.length)).toEqual([500, 500, 203])
  expect(new Set(receiver.batches.flat().map(({ taskId }) => taskId)).size).toBe(1_203)
})

describe('a send that fails', () => {
  test('tells its session, and the next one gets all of it', async () => {
    const [first, second] = [new Receiver('waits'), new Receiver()]
    attach(first)
    reporter.report(aStatus({ taskId: 'a' }))
    await settle()
    const why = new Error('gone')
    await first.break(why)
    expect(first.failures).toEqual([why])
    reporter.report(aStatus({ taskId: 'b' }))
    await settle()
    expect(first.batches).toHaveLength(1)
    attach(second)
    await settle()
    expect(second.believes).toEqual({ a: 'running', b: 'running' })
  })

  test('after its session was replaced neither holds up nor ends the new one', async () => {
    const [old, young] = [new Receiver('waits'), new Receiver('waits')]
    attach(old)
    reporter.report(aStatus({ taskId: 'a', state: 'starting' }))
    await settle()
    reporter.detach()
    attach(young)
    await settle()
    expect(young.believes).toEqual({ a: 'starting' })
    await old.break(new Error('the deadline of the dead session'))
    await young.answer()
    reporter.report(aStatus({ taskId: 'a', state: 'running' }))
    await settle()
    expect(young.failures).toEqual([])
    expect(young.believes).toEqual({ a: 'running' })
  })
})

test('whatever fails and whenever sessions change, the last session believes what is true', async () => {
  const op = fc.oneof(
    fc.record({
      op: fc.constant('report'),
      task: fc.constantFrom('a', 'b', 'c'),
      state: fc.constantFrom('accepted', 'preparing', 'starting', 'running', 'failed'),
    }),
    fc.record({ op: fc.constantFrom('attach', 'detach', 'answer', 'break', 'time') }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(op, { maxLength: 30 }), async (ops) => {
      for (const taskId of reporter.taskIds()) reporter.forget(taskId)
      clock = new TestClock()
      reporter = new Reporter(store, clock)
      let receiver = new Receiver('waits')
      attach(receiver)
      for (const step of ops) {
        if ('task' in step) reporter.report(aStatus({ taskId: step.task, state: step.state }))
        else if (step.op === 'attach') {
          receiver = new Receiver('waits')
          attach(receiver)
        } else if (step.op === 'detach') reporter.detach()
        else if (step.op === 'answer') await receiver.answer()
        else if (step.op === 'break') await receiver.break(new Error('broken'))
        else await settle()
      }
      const last = new Receiver()
      attach(last)
      await settle()
      const truth = Object.fromEntries(reporter.taskIds().map((id) => [id, reporter.get(id)?.state]))
      expect(last.believes).toEqual(truth)
    }),
    { numRuns: 60 },
  )
})
