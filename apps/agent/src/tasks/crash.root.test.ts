import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Assignment, DesiredState } from '@berth/proto'
import type { ContainerInfo } from '@berth/runtime'
import { buildTinyImage, makeTestHost, type TestHost, until } from '@berth/runtime/testing'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { assignmentSet } from '../assignments/assignment-set.js'
import { AgentStore } from '../state/agent.store.js'
import { anAssignment } from '../testing/builders.js'
import { startTasks, type TestTasks } from '../testing/test-tasks.js'
import { TASK_LABEL } from './container-spec.js'
import type { Step } from './plan-step.js'

const CHILD = fileURLToPath(new URL('../../dist/testing/tasks.child.js', import.meta.url))
const IDS = ['a', 'b', 'c']

/** Every step has a failpoint before it; a new step fails to compile here until it is met by a test. */
const MET: Readonly<Record<Step['kind'], 'up' | 'down' | 'end'>> = {
  create: 'up',
  start: 'up',
  open: 'up',
  watch: 'up',
  conclude: 'end',
  stop: 'down',
  remove: 'down',
  shut: 'down',
  idle: 'down',
}
const metBy = (phase: string) => Object.entries(MET).flatMap(([kind, at]) => (at === phase ? [kind] : []))

let host: TestHost
let agent: TestTasks | undefined

beforeAll(async () => {
  host = makeTestHost()
  const { runtime } = await open()
  await buildTinyImage(runtime)
  await close()
})
afterAll(() => host.dispose())
afterEach(async () => {
  const { tasks, runtime } = agent ?? (await open())
  tasks.apply(new Map())
  await until('the host is empty', async () => {
    for (const { id } of await runtime.containers.list()) await runtime.containers.remove(id, { force: true })
    return (await runtime.containers.list()).length === 0
  })
  await close()
})

async function open(): Promise<TestTasks> {
  agent = await startTasks(host.options)
  return agent
}
async function close(): Promise<void> {
  await agent?.close()
  agent = undefined
}

function assign(command: readonly string[], desiredState: DesiredState): readonly Assignment[] {
  const set = IDS.map((taskId, slot) =>
    anAssignment({ taskId, slot, desiredState, container: { command: [...command] } }),
  )
  const store = new AgentStore(host.options.root)
  store.saveAssignments(store.epoch() + 1n, set)
  store.close()
  return set
}

/** Lets an agent in a process of its own work on what is assigned until it dies at the failpoint. */
async function dieAt(kind: string, hit: number): Promise<void> {
  const FAILPOINTS = `agent.task.${kind}=${hit === 1 ? '' : `${hit - 1}*off->`}kill`
  const child = spawn(process.execPath, [CHILD, JSON.stringify({ ...host.options, logger: undefined })], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { PATH: process.env.PATH, FAILPOINTS },
    timeout: 30_000,
    killSignal: 'SIGTERM',
  })
  const signal = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (_code, by) => resolve(by))
  })
  expect(signal).toBe('SIGKILL')
}

/** Runs the agent again on what is on the disk until every task says the state. */
async function recover(state: string): Promise<TestTasks> {
  const again = await open()
  again.tasks.apply(assignmentSet(again.store.assignments()))
  for (const id of IDS) await until(`${id} is ${state}`, () => again.said(id)?.state === state, 20_000)
  return again
}

const byTask = (containers: readonly ContainerInfo[]) =>
  new Map(containers.map((container) => [container.spec.labels?.[TASK_LABEL], container]))

const HITS = [1, 3]
const cases = (phase: string) => metBy(phase).flatMap((kind) => HITS.map((hit) => [kind, hit] as const))

describe('killed on the way up', () => {
  test.each(cases('up'))(
    'before %s, time %d: what runs is adopted with its pid, the rest is made, nothing twice',
    async (kind, hit) => {
      assign(['sleep', '1000'], DesiredState.DESIRED_STATE_RUNNING)
      await dieAt(kind, hit)
      const between = await open()
      const survivors = byTask(await between.runtime.containers.list())
      await close()
      if (kind === 'watch' || kind === 'open')
        expect([...survivors.values()].some(({ state }) => state === 'running')).toBe(true)
      const { runtime, said } = await recover('running')
      const containers = await runtime.containers.list()
      expect(containers).toHaveLength(IDS.length)
      for (const [taskId, container] of byTask(containers)) {
        expect(container).toMatchObject({ state: 'running', published: true, restartCount: 0 })
        expect(said(taskId ?? '')).toMatchObject({ containerId: container.id, pid: container.pid })
        const survivor = survivors.get(taskId)
        if (survivor) expect(container.id).toBe(survivor.id)
        if (survivor?.state === 'running') expect(container.pid).toBe(survivor.pid)
      }
    },
  )
})

describe('killed when a process has ended', () => {
  test.each(cases('end'))(
    'before %s, time %d: its exit code is told and it is not started again',
    async (kind, hit) => {
      assign(['sh', '-c', 'exit 7'], DesiredState.DESIRED_STATE_RUNNING)
      await dieAt(kind, hit)
      const { runtime, said } = await recover('failed')
      for (const id of IDS) expect(said(id)).toMatchObject({ exitCode: 7, code: 'task.exited' })
      for (const container of await runtime.containers.list())
        expect(container).toMatchObject({ state: 'exited', restartCount: 0 })
    },
  )
})

describe('killed on the way down', () => {
  test.each(cases('down'))(
    'before %s, time %d: everything is stopped, removed and told',
    async (kind, hit) => {
      assign(['sleep', '1000'], DesiredState.DESIRED_STATE_RUNNING)
      await recover('running')
      await close()
      assign(['sleep', '1000'], DesiredState.DESIRED_STATE_SHUTDOWN)
      await dieAt(kind, hit)
      const { runtime } = await recover('shutdown')
      expect(await runtime.containers.list()).toEqual([])
    },
  )
})
