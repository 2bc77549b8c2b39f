import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ContainerInfo, ContainerSpec, RuntimeEvent } from '../api.js'
import { buildTinyImage, openTestRuntime, type TestRuntime, until } from '../testing/index.js'

let host: TestRuntime
beforeAll(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime)
})
afterAll(() => host?.dispose())

let count = 0
const make = (command: readonly string[], rest: Partial<ContainerSpec> = {}): Promise<ContainerInfo> => {
  count += 1
  const spec = { name: `l${count}`, image: 'tiny:1', command, network: 'none', ...rest } as const
  return host.runtime.containers.create(spec)
}
const run = async (command: readonly string[], rest: Partial<ContainerSpec> = {}): Promise<ContainerInfo> =>
  host.runtime.containers.start((await make(command, rest)).id)
const sleeper = (rest: Partial<ContainerSpec> = {}) => run(['sleep', '1000'], rest)
const sh = (script: string, rest: Partial<ContainerSpec> = {}) => run(['sh', '-c', script], rest)

const short = ({ id }: ContainerInfo) => id.slice(0, 12)
const _cgroupOf = (container: ContainerInfo) => `${host.options.cgroupParent}/${short(container)}`
/** All that has happened to it so far. */
async function eventsOf({ id }: ContainerInfo): Promise<RuntimeEvent[]> {
  const all: RuntimeEvent[] = []
  const past = host.runtime.events({ signal: AbortSignal.abort(), sinceNanos: 0n })
  for await (const event of past) if (event.kind === 'container' && event.id === id) all.push(event)
  return all
}
const actionsOf = async (container: ContainerInfo) => (await eventsOf(container)).map(({ action }) => action)
const hasHappened = async (container: ContainerInfo, action: string) =>
  (await eventsOf(container)).some((event) => event.action === action)
const _attributesOf = async (container: ContainerInfo, action: string) =>
  (await eventsOf(container)).filter((event) => event.action === action).map(({ attributes }) => attributes)
async function lines({ id }: ContainerInfo): Promise<string[]> {
  const all: string[] = []
  for await (const { line } of host.runtime.containers.logs(id)) all.push(line)
  return all
}
const untilSays = (container: ContainerInfo, text: string) =>
  until(`it says ${text}`, async () => (await lines(container)).includes(text))

test('a stop that comes before the program is ready for it waits until it is', async () => {
  const { containers } = host.runtime
  const slow = 'sleep 0.3; trap "exit 3" TERM; while :; do sleep 0.05; done'
  const container = await sh(slow, { init: false })
  const stopped = await containers.stop(container.id)
  expect(stopped.exit).toMatchObject({ code: 3 })
  await containers.remove(container.id)
})

describe('restart', () => {
  test('is stop and start, told in docker’s order, and counts nothing as a stop by hand', async () => {
    const { containers } = host.runtime
    const container = await sleeper({ restart: { name: 'always' } })
    const again = await containers.restart(container.id)
    expect(again).toMatchObject({ state: 'running', restartCount: 0 })
    expect(again.pid).not.toBe(container.pid)
    expect(await actionsOf(container)).toEqual([
      ...['create', 'start', 'kill', 'die', 'stop', 'start', 'restart'],
    ])
    await containers.kill(container.id, 'USR1')
    await containers.remove(container.id, { force: true })
  })

  test('starts what does not run', async () => {
    const container = await make(['sleep', '1000'])
    expect(await host.runtime.containers.restart(container.id)).toMatchObject({ state: 'running' })
    await host.runtime.containers.remove(container.id, { force: true })
  })

  test('of a container that removes itself keeps it', async () => {
    const { containers } = host.runtime
    const container = await sleeper({ autoRemove: true })
    expect(await containers.restart(container.id, { timeoutMs: 0 })).toMatchObject({ state: 'running' })
    await containers.kill(container.id)
    await until('it removed itself', () => hasHappened(container, 'destroy'))
  })
})

describe('restart policies', () => {
  const { stringify } = JSON
  test('on-failure:2 tries two times more, then stays with its exit', async () => {
    const { containers } = host.runtime
    const container = await sh('echo run; exit 3', { restart: { name: 'on-failure', retriesMax: 2 } })
    const ended = await until('it gave up', async () => {
      const now = await containers.inspect(container.id)
      return now.state === 'exited' ? now : undefined
    })
    expect(ended).toMatchObject({ restartCount: 2, exit: { code: 3 } })
    expect(await lines(container)).toEqual(['run', 'run', 'run'])
    expect((await actionsOf(container)).filter((action) => action === 'die')).toHaveLength(3)
    expect((await containers.start(container.id)).restartCount).toBeLessThan(2)
    await containers.remove(container.id, { force: true })
  })

  test('on-failure lets success be', async () => {
    const container = await sh('exit 0', { restart: { name: 'on-failure', retriesMax: 0 } })
    await host.runtime.containers.wait(container.id)
    expect(await host.runtime.containers.inspect(container.id)).toMatchObject({
      state: 'exited',
      restartCount: 0,
    })
  })

  test.each(['always', 'unless-stopped'] as const)(
    '%s restarts with growing pauses until it is stopped',
    async (name) => {
      const { containers } = host.runtime
      const container = await sh('exit 0', { restart: { name } })
      await until('three restarts', async () => (await containers.inspect(container.id)).restartCount >= 3)
      const starts = (await eventsOf(container))
        .filter(({ action }) => action === 'start')
        .map(({ atNanos }) => Number(atNanos / 1_000_000n))
      const [first = 0, second = 0, third = 0] = starts
      expect(second - first).toBeGreaterThanOrEqual(100)
      expect(third - second).toBeGreaterThanOrEqual(200)
      await containers.stop(container.id, { timeoutMs: 0 })
      const stopped = await containers.inspect(container.id)
      expect(stopped).toMatchObject({ state: 'exited', exit: { code: 0 } })
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      expect(stringify(await containers.inspect(container.id))).toBe(stringify(stopped))
      await containers.remove(container.id)
    },
  )

  test('while it waits it is `restarting`: waited for until its next end, stopped, killed, removed by force', async () => {
    const { containers } = host.runtime
    const waits = async (): Promise<ContainerInfo> => {
      const container = await sh('exit 4', { restart: { name: 'always' } })
      await until('it waits', async () => {
        const now = await containers.inspect(container.id)
        return now.state === 'restarting' && now.restartCount >= 3
      })
      return container
    }
    const stopped = await waits()
    const exit = containers.wait(stopped.id)
    await expect(containers.remove(stopped.id)).rejects.toMatchObject({ code: 'container.running' })
    await expect(containers.pause(stopped.id)).rejects.toMatchObject({ code: 'container.not_running' })
    expect(await containers.stop(stopped.id)).toMatchObject({ state: 'exited', exit: { code: 4 } })
    expect(await exit).toMatchObject({ code: 4 })
    const killed = await waits()
    await containers.kill(killed.id)
    expect(await containers.inspect(killed.id)).toMatchObject({ state: 'exited' })
    const removed = await waits()
    await containers.remove(removed.id, { force: true })
    const started = await waits()
    expect(await containers.start(started.id)).toMatchObject({ restartCount: 0 })
    for (const { id } of [stopped, killed, started]) await containers.remove(id, { force: true })
  })

  test('a signal that does not mean to end leaves the policy in force, one that does not', async () => {
    const { containers } = host.runtime
    const script = 'trap "exit 1" USR1 TERM; echo ready; while :; do sleep 0.02; done'
    const container = await sh(script, { restart: { name: 'unless-stopped' } })
    await untilSays(container, 'ready')
    await containers.kill(container.id, 'USR1')
    await until('it came back', async () => {
      const now = await containers.inspect(container.id)
      return now.state === 'running' && now.restartCount === 1
    })
    await until('it is ready', async () => (await lines(container)).length === 2)
    await containers.kill(container.id, 'TERM')
    await containers.wait(container.id)
    expect((await containers.inspect(container.id)).state).toBe('exited')
    await containers.remove(container.id)
  })

  test('a program that cannot be run is not tried again', async () => {
    const { containers } = host.runtime
    const container = await make(['/no/such'], { init: false, restart: { name: 'always' } })
    await expect(containers.start(container.id)).rejects.toMatchObject({ params: { exitCode: 127 } })
    expect((await containers.inspect(container.id)).state).toBe('created')
    await containers.remove(container.id)
  })
})

describe('health checks', () => {
  const probing = (shell: string, rest: object = {}): Partial<ContainerSpec> => ({
    health: { test: { shell }, intervalMs: 100, timeoutMs: 2_000, retries: 2, ...rest },
  })
  const untilHealth = (container: ContainerInfo, status: string) =>
    until(`it is ${status}`, async () => {
      const now = await host.runtime.containers.inspect(container.id)
      return now.health?.status === status ? now : undefined
    })

  test('follow what the probe says, with the output of each and an event at each change', async () => {
    const { containers } = host.runtime
    const script = 'touch /ok; while [ ! -e /go ]; do sleep 0.02; done; rm /ok; sleep 1000'
    const container = await sh(script, probing('echo probed; [ -e /ok ] || { touch /failed; exit 9; }'))
    expect(container.health).toEqual({ status: 'starting', failingStreak: 0, log: [] })
    const healthy = await untilHealth(container, 'healthy')
    expect(healthy.health?.log.at(-1)).toMatchObject({ exitCode: 0, output: 'probed\n' })
    await containers.stop(container.id, { timeoutMs: 0 })
    expect((await containers.inspect(container.id)).health?.status).toBe('unhealthy')
    await containers.remove(container.id)
    const sick = await sleeper(probing('echo no; exit 9'))
    const unhealthy = await untilHealth(sick, 'unhealthy')
    expect(unhealthy.health?.log.at(-1)).toMatchObject({ exitCode: 9, output: 'no\n' })
    expect(unhealthy.health?.failingStreak).toBeGreaterThanOrEqual(2)
    await containers.remove(sick.id, { force: true })
    expect(await actionsOf(container)).toContain('health_status: healthy')
    expect((await actionsOf(sick)).filter((action) => action.startsWith('health'))).toEqual([
      'health_status: unhealthy',
    ])
  })

  test('a probe that hangs is ended at its timeout and leaves nothing', async () => {
    const container = await sleeper(probing('sleep 7777', { timeoutMs: 150, retries: 1 }))
    const { health } = await untilHealth(container, 'unhealthy')
    expect(health?.log[0]).toMatchObject({ exitCode: -1 })
    expect(health?.log[0]?.output).toMatch(/timeout/i)
    await host.runtime.containers.pause(container.id)
    const { processes } = await host.runtime.containers.top(container.id)
    expect(processes.filter((row) => row.join(' ').includes('sleep 7777')).length).toBeLessThanOrEqual(1)
    await host.runtime.containers.remove(container.id, { force: true })
  })

  test('an unhealthy container is restarted or killed where that was asked for', async () => {
    const { containers } = host.runtime
    const restarted = await sleeper({ ...probing('exit 1', { onUnhealthy: 'restart' }), stopTimeoutMs: 0 })
    await until('it was restarted', () => hasHappened(restarted, 'restart'))
    const killed = await sleeper(probing('exit 1', { onUnhealthy: 'kill' }))
    expect(await containers.wait(killed.id)).toMatchObject({ code: 137 })
    for (const { id } of [restarted, killed]) await containers.remove(id, { force: true })
  })
})
