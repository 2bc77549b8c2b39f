import { existsSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ContainerExit, ContainerInfo, ContainerSpec, RuntimeEvent } from '../api.js'
import { cgroupPids } from '../host/cgroup-processes.exec.js'
import { cgroupHierarchies } from '../host/cgroups.exec.js'
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
/** How often the kernel has said no, since the container began. */
const refusedForks = (path: string): number =>
  cgroupHierarchies()
    .map((hierarchy) => `${hierarchy}${path}/pids.events`)
    .filter((file) => existsSync(file))
    .reduce((sum, file) => sum + Number(/^max (\d+)/m.exec(readFileSync(file, 'utf8'))?.[1] ?? 0), 0)

const cgroupOf = (container: ContainerInfo) => `${host.options.cgroupParent}/${short(container)}`
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
const attributesOf = async (container: ContainerInfo, action: string) =>
  (await eventsOf(container)).filter((event) => event.action === action).map(({ attributes }) => attributes)
async function lines({ id }: ContainerInfo): Promise<string[]> {
  const all: string[] = []
  for await (const { line } of host.runtime.containers.logs(id)) all.push(line)
  return all
}
const untilSays = (container: ContainerInfo, text: string) =>
  until(`it says ${text}`, async () => (await lines(container)).includes(text))

const COUNTING = 'i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done'

describe('pause (F44)', () => {
  test('a paused container does nothing, and goes on where it was', async () => {
    const { containers } = host.runtime
    const container = await sh(COUNTING)
    await untilSays(container, '3')
    await containers.pause(container.id)
    const paused = await containers.inspect(container.id)
    expect(paused).toMatchObject({ state: 'paused', pid: container.pid })
    const before = (await lines(container)).length
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect((await lines(container)).length).toBe(before)
    await containers.unpause(container.id)
    await until('it goes on', async () => (await lines(container)).length > before)
    const said = (await lines(container)).map(Number)
    expect(said.every((number, index) => number === index)).toBe(true)
    expect(await containers.inspect(container.id)).toMatchObject({ state: 'running', pid: container.pid })
    await containers.remove(container.id, { force: true })
    expect(await actionsOf(container)).toEqual([
      'create',
      'start',
      'pause',
      'unpause',
      'kill',
      'die',
      'destroy',
    ])
  })

  test.each<[string, (id: ContainerInfo['id']) => Promise<unknown>, number]>([
    ['killed', (id) => host.runtime.containers.kill(id), 137],
    ['stopped', (id) => host.runtime.containers.stop(id), 7],
    ['stopped at once', (id) => host.runtime.containers.stop(id, { timeoutMs: 0 }), 137],
    ['asked to end', (id) => host.runtime.containers.kill(id, 'TERM'), 7],
  ])('a paused container can be %s', async (_name, end, code) => {
    const container = await sh('trap "sleep 0.05; exit 7" TERM; echo ready; while :; do sleep 0.02; done')
    await untilSays(container, 'ready')
    await host.runtime.containers.pause(container.id)
    const exit = host.runtime.containers.wait(container.id)
    await end(container.id)
    expect(await exit).toMatchObject({ code })
    expect(await actionsOf(container)).toContain('unpause')
    await host.runtime.containers.remove(container.id)
  })

  test('a paused container is removed by force only, and leaves nothing', async () => {
    const { containers } = host.runtime
    const container = await sleeper()
    await containers.pause(container.id)
    await expect(containers.remove(container.id)).rejects.toMatchObject({ code: 'container.paused' })
    await containers.remove(container.id, { force: true })
    expect(cgroupPids(cgroupOf(container))).toEqual([])
    await expect(containers.inspect(container.id)).rejects.toMatchObject({ code: 'container.not_found' })
  })

  test('what cannot be paused, unpaused or started says why', async () => {
    const { containers } = host.runtime
    const container = await make(['sleep', '1000'])
    const refusal = (work: Promise<unknown>) => work.then(String, (error) => error.code)
    expect(await refusal(containers.pause(container.id))).toBe('container.not_running')
    expect(await refusal(containers.unpause(container.id))).toBe('container.not_paused')
    await containers.start(container.id)
    expect(await refusal(containers.unpause(container.id))).toBe('container.not_paused')
    await containers.pause(container.id)
    expect(await refusal(containers.pause(container.id))).toBe('container.paused')
    expect(await refusal(containers.start(container.id))).toBe('container.paused')
    await containers.remove(container.id, { force: true })
  })
})

describe('stop and kill', () => {
  test('a container that ignores the stop signal (F43) is asked, then killed; events come in docker’s order', async () => {
    const container = await sh('trap "" TERM; echo ready; while :; do sleep 0.02; done')
    await untilSays(container, 'ready')
    await host.runtime.containers.stop(container.id, { timeoutMs: 50 })
    expect(await actionsOf(container)).toEqual(['create', 'start', 'kill', 'kill', 'die', 'stop'])
    expect((await attributesOf(container, 'kill')).map(({ signal }) => signal)).toEqual(['15', '9'])
    expect(await attributesOf(container, 'die')).toMatchObject([{ exitCode: '137', execDuration: '0' }])
    await host.runtime.containers.remove(container.id)
  })

  test('a timeout of -1 waits without end', async () => {
    const { containers } = host.runtime
    const container = await sh('trap "" TERM; trap "exit 5" USR1; echo ready; while :; do sleep 0.02; done')
    await untilSays(container, 'ready')
    let isOver = false
    const stopping = containers.stop(container.id, { timeoutMs: -1 }).finally(() => {
      isOver = true
    })
    await until('it was asked', () => hasHappened(container, 'kill'))
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(isOver).toBe(false)
    await containers.kill(container.id, 'USR1')
    expect((await stopping).exit).toEqual({ code: 5, oomKilled: false })
    await containers.remove(container.id)
  })

  test('a real-time signal arrives by name, and may be the stop signal', async () => {
    const { containers } = host.runtime
    const script = 'trap "exit 11" 37; trap "exit 12" 36; echo ready; while :; do sleep 0.02; done'
    const stopped = await sh(script, { stopSignal: 'SIGRTMIN+3' })
    await untilSays(stopped, 'ready')
    expect((await containers.stop(stopped.id)).exit).toMatchObject({ code: 11 })
    const killed = await sh(script)
    await untilSays(killed, 'ready')
    await containers.kill(killed.id, 'RTMIN+2')
    expect(await containers.wait(killed.id)).toMatchObject({ code: 12 })
    for (const { id } of [stopped, killed]) await containers.remove(id)
  })

  test('a signal to what does not run, or one that is none, is refused', async () => {
    const { containers } = host.runtime
    const container = await make(['true'])
    await expect(containers.kill(container.id)).rejects.toMatchObject({ code: 'container.not_running' })
    await expect(containers.kill(container.id, 'NONE')).rejects.toMatchObject({
      code: 'container.signal_invalid',
    })
    await containers.remove(container.id)
  })

  test('while it is being stopped it can still be killed and removed', async () => {
    const { containers } = host.runtime
    const container = await sh('trap "" TERM; echo ready; while :; do sleep 0.02; done')
    await untilSays(container, 'ready')
    const stopping = containers.stop(container.id, { timeoutMs: 60_000 })
    await until('it was asked', () => hasHappened(container, 'kill'))
    await containers.remove(container.id, { force: true })
    await stopping
  })

  test('a fork bomb is dead within five seconds (F40)', async () => {
    const { containers } = host.runtime
    // A shell that may not fork ends, so the first one forks no more.
    // Its own wait is interrupted when a child of it ends so, and begins again.
    const bomb = 'mkfifo /never; b() { b | b & b; }; b & while :; do read _ </never; done'
    const container = await sh(bomb, { resources: { pidsMax: 200 } })
    await until('it has met its limit', () => refusedForks(cgroupOf(container)) > 0)
    const before = performance.now()
    await containers.kill(container.id)
    await containers.wait(container.id)
    await containers.remove(container.id)
    expect(performance.now() - before).toBeLessThan(5_000)
    expect(cgroupPids(cgroupOf(container))).toEqual([])
  })

  test('the small init reaps what is orphaned; without it zombies stay until the end, then nothing (F41)', async () => {
    const { containers } = host.runtime
    const leaking =
      'i=0; while [ $i -lt 5 ]; do (sleep 0.05 & exec true); i=$((i+1)); done; echo done; exec sleep 1000'
    const pidsOf = async (container: ContainerInfo) => (await containers.stats(container.id)).pids
    const reaped = await sh(leaking, { init: true })
    await untilSays(reaped, 'done')
    await until('orphans are reaped', async () => (await pidsOf(reaped)) === 2)
    const unreaped = await sh(leaking, { init: false })
    await untilSays(unreaped, 'done')
    await until('orphans are zombies', async () => (await pidsOf(unreaped)) === 6)
    for (const container of [reaped, unreaped]) {
      await containers.remove(container.id, { force: true })
      expect(cgroupPids(cgroupOf(container))).toEqual([])
    }
  })

  test('processes in the host’s pid namespace die with their container too', async () => {
    const { containers } = host.runtime
    const container = await sh('trap "" TERM; sleep 54321 & echo ready; while :; do sleep 0.02; done', {
      namespaces: { pid: 'host' },
      init: false,
    })
    await untilSays(container, 'ready')
    await containers.stop(container.id, { timeoutMs: 0 })
    await until('all are gone', () => cgroupPids(cgroupOf(container)).length === 0)
    await containers.remove(container.id)
  })
})

test('an out-of-memory kill is told, as an event before the end too (F19)', async () => {
  const container = await sh('x=0123456789abcdef; while :; do x=$x$x; done', {
    resources: { memoryBytes: 16 * 1024 * 1024 },
  })
  expect(await host.runtime.containers.wait(container.id)).toMatchObject({ code: 137, oomKilled: true })
  expect(await actionsOf(container)).toEqual(['create', 'start', 'oom', 'die'])
})

describe('a start that fails', () => {
  test.each([
    ['/no/such/program', 127, /no such file or directory/],
    ['nonexist', 127, /executable file not found in \$PATH/],
    ['/etc/hosts', 126, /permission denied/],
    ['/etc', 126, /permission denied/],
  ])('%s: code %i', async (program, code, words) => {
    const { containers } = host.runtime
    const container = await make([program], { init: false })
    const failure = await containers.start(container.id).catch((error) => error)
    expect(failure).toMatchObject({ code: 'container.start_failed', params: { exitCode: code } })
    expect(failure.message).toMatch(words)
    expect(failure.message).toContain(program)
    const after = await containers.inspect(container.id)
    expect(after).toMatchObject({ state: 'created', exit: { code, reason: 'start_failed' }, restartCount: 0 })
    expect(after.startError).toMatch(words)
    expect(await containers.wait(container.id)).toMatchObject({ code })
    expect(await actionsOf(container)).toEqual(['create'])
    await containers.remove(container.id)
  })

  test('takes a container that removes itself away, and who waits for that is told the code', async () => {
    const { containers } = host.runtime
    const container = await make(['/no/such'], { init: false, autoRemove: true })
    const removed = containers.wait(container.id, undefined, 'removed')
    await expect(containers.start(container.id)).rejects.toMatchObject({ code: 'container.start_failed' })
    expect(await removed).toMatchObject({ code: 127 })
    await expect(containers.inspect(container.id)).rejects.toMatchObject({ code: 'container.not_found' })
  })
})

describe('automatic removal and waiting', () => {
  test('no exit is missed, however short the life and whatever is waited for', async () => {
    const { containers } = host.runtime
    const once = async (code: number): Promise<ContainerExit[]> => {
      const container = await make(['sh', '-c', `exit ${code}`], { autoRemove: true })
      const exits = (['next-exit', 'removed'] as const).map((what) =>
        containers.wait(container.id, undefined, what),
      )
      await containers.start(container.id)
      return Promise.all(exits)
    }
    const rounds = await Promise.all(Array.from({ length: 12 }, (_, index) => once(index)))
    expect(rounds.map((exits) => exits.map(({ code }) => code))).toEqual(
      rounds.map((_, index) => [index, index]),
    )
    await expect(containers.list({ labels: {} })).resolves.toBeDefined()
  })

  test('next-exit of a container that has ended is the one to come', async () => {
    const { containers } = host.runtime
    const container = await sh('if [ -e /n ]; then exit 2; fi; touch /n; exit 1')
    expect(await containers.wait(container.id)).toMatchObject({ code: 1 })
    const next = containers.wait(container.id, undefined, 'next-exit')
    await containers.start(container.id)
    expect(await next).toMatchObject({ code: 2 })
    const removed = containers.wait(container.id, undefined, 'removed')
    await containers.remove(container.id)
    expect(await removed).toMatchObject({ code: 2 })
  })
})

describe('rename and update', () => {
  test('a new name is known at once, the old one free, and taken ones are refused', async () => {
    const { containers } = host.runtime
    const container = await make(['true'], { name: 'before' })
    const other = await make(['true'], { name: 'other' })
    expect(await containers.rename(container.id, 'after')).toMatchObject({ spec: { name: 'after' } })
    expect((await containers.inspect('after')).id).toBe(container.id)
    await expect(containers.inspect('before')).rejects.toMatchObject({ code: 'container.not_found' })
    await expect(containers.rename(container.id, 'other')).rejects.toMatchObject({
      code: 'container.name_taken',
    })
    await expect(containers.rename(container.id, '-x')).rejects.toMatchObject({
      code: 'container.spec_invalid',
    })
    expect(await attributesOf(container, 'rename')).toMatchObject([{ name: 'after', oldName: '/before' }])
    await containers.remove((await make(['true'], { name: 'before' })).id)
    for (const { id } of [container, other]) await containers.remove(id)
  })

  test('new limits hold at once and at the next start, what was not named stays', async () => {
    const { containers } = host.runtime
    const MIB = 1024 * 1024
    const container = await sleeper({ resources: { memoryBytes: 32 * MIB, cpuShares: 512 } })
    const updated = await containers.update(container.id, { resources: { memoryBytes: 64 * MIB } })
    expect(updated.spec.resources).toEqual({ memoryBytes: 64 * MIB, cpuShares: 512 })
    expect(await containers.stats(container.id)).toMatchObject({ memoryLimitBytes: 64 * MIB })
    await containers.restart(container.id, { timeoutMs: 0 })
    expect(await containers.stats(container.id)).toMatchObject({ memoryLimitBytes: 64 * MIB })
    expect(await actionsOf(container)).toContain('update')
    const refusal = { code: 'container.spec_invalid' }
    await expect(containers.update(container.id, { resources: { memoryBytes: 1 } })).rejects.toMatchObject(
      refusal,
    )
    expect((await containers.inspect(container.id)).spec.resources?.memoryBytes).toBe(64 * MIB)
    await containers.remove(container.id, { force: true })
  })

  test('a new restart policy counts from now on', async () => {
    const { containers } = host.runtime
    const container = await sleeper({ restart: { name: 'always' } })
    await containers.update(container.id, { restart: { name: 'no' } })
    await containers.kill(container.id, 'USR1')
    await containers.stop(container.id, { timeoutMs: 0 })
    expect((await containers.inspect(container.id)).state).toBe('exited')
    await containers.remove(container.id)
    const temporary = await sleeper({ autoRemove: true })
    const refused = containers.update(temporary.id, { restart: { name: 'always' } })
    await expect(refused).rejects.toMatchObject({ code: 'container.spec_invalid' })
    await containers.remove(temporary.id, { force: true })
  })
})

describe('top', () => {
  test('tells the container’s processes and no others, with the columns that were asked for', async () => {
    const { containers } = host.runtime
    const container = await sh('sleep 4242 & echo ready; exec sleep 4243')
    await untilSays(container, 'ready')
    const table = await containers.top(container.id)
    expect(table.titles).toEqual(['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'])
    const pids = table.processes.map((row) => Number(row[1]))
    expect(pids).toContain(container.pid)
    expect([...pids].sort()).toEqual([...cgroupPids(cgroupOf(container))].sort())
    const own = await containers.top(container.id, ['-eo', 'pid,args'])
    expect(own.titles).toEqual(['PID', 'COMMAND'])
    expect(own.processes.map(([, args]) => args)).toContain('sleep 4242')
    await expect(containers.top(container.id, ['-o', 'user'])).rejects.toMatchObject({
      code: 'container.ps_invalid',
    })
    await containers.pause(container.id)
    expect((await containers.top(container.id)).processes).toHaveLength(pids.length)
    await containers.stop(container.id, { timeoutMs: 0 })
    await expect(containers.top(container.id)).rejects.toMatchObject({ code: 'container.not_running' })
    await containers.remove(container.id)
  })
})

describe('namespaces of another container', () => {
  test('the other must exist at create and run at start; what is joined is shared', async () => {
    const { containers } = host.runtime
    const missing = make(['true'], { network: { container: 'nobody-here' } })
    await expect(missing).rejects.toThrow(/nobody-here/)
    const donor = await make(['sh', '-c', 'ip link add x type dummy 2>/dev/null; sleep 1000'], {
      name: 'donor',
    })
    const joiner = await make(['sh', '-c', 'ls /proc/1/exe >/dev/null; ps | grep -c "sleep 1000"'], {
      network: { container: 'donor' },
      namespaces: { pid: { container: donor.id.slice(0, 12) } },
    })
    const early = await containers.start(joiner.id).catch((error) => error)
    expect(early).toMatchObject({ code: 'container.join_failed' })
    expect(early.message).toBe(`cannot join network of a non running container: ${donor.id}`)
    await containers.start(donor.id)
    await containers.rename(donor.id, 'renamed')
    await containers.start(joiner.id)
    await containers.wait(joiner.id)
    expect(Number((await lines(joiner))[0])).toBeGreaterThanOrEqual(1)
    for (const { id } of [joiner, donor]) await containers.remove(id, { force: true })
  })
})

test('what a container wrote is told as its own room', async () => {
  const container = await sh('dd if=/dev/zero of=/file bs=1024 count=100 2>/dev/null')
  await host.runtime.containers.wait(container.id)
  const usage = await host.runtime.diskUsage()
  const own = usage.containers.find(({ id }) => id === container.id)
  expect(own?.writtenBytes).toBeGreaterThanOrEqual(102_400)
  expect(own?.writtenBytes).toBeLessThan(110_000)
  expect(own?.rootBytes).toBeGreaterThanOrEqual(own?.writtenBytes ?? 0)
})

test('the runtime has an identity that stays, and its network is told', async () => {
  const { id, network } = host.runtime.info()
  expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  expect(network).toEqual({
    bridge: host.options.network?.bridge,
    subnet: host.options.network?.subnet,
    gateway: host.options.network?.subnet?.replace(/0\/24$/, '1'),
  })
})
