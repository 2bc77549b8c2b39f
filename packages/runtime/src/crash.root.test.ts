import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ContainerId } from '@berth/core'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ContainerInfo, ContainerSpec, Runtime, RuntimeOptions } from './api.js'
import { signalProcess } from './host/process.exec.js'
import { openMetadata } from './metadata.store.js'
import { purgeHost } from './purge.exec.js'
import { openRuntime } from './runtime.js'
import {
  buildTinyImage,
  type ChildWork,
  makeTestHost,
  openTestRegistry,
  spawnRuntime,
  type TestHost,
  until,
} from './testing/index.js'
import { mountsBelow, processesOf } from './testing/leftovers.js'

const CREATE = [
  'container.create.after_row',
  'container.create.after_mounts',
  'container.create.after_commit',
]
const BUILD = ['build.step.after_fill']
const START = [
  'container.start.after_mount',
  'container.start.after_spawn',
  'container.start.after_create',
  'container.start.after_network',
  'container.start.after_start',
  'container.start.after_row',
]
const REMOVE = [
  'container.remove.after_row',
  'container.remove.after_teardown',
  'container.remove.after_files',
]
/** Met in volumes.root.test.ts, plugins.root.test.ts and copies.root.test.ts, which have volumes. */
const VOLUME = ['container.create.after_volume', 'volume.mount.after_row', 'volume.copy.before_row']
const EXIT = ['container.exit.after_row']
const PAUSE = ['container.pause.after_freeze']
const UPDATE = ['container.update.after_row']
const RESTART = ['container.restart.before_start', 'container.recover.after_row']
const PULL = [
  'content.before_rename',
  'pull.after_blob',
  'layer.before_rename',
  'layer.before_row',
  'pull.after_layer',
  'pull.before_commit',
]
/** Met in networks/model/user-networks.root.test.ts, which has networks. */
const NETWORK = [
  'network.create.after_row',
  'network.create.after_link',
  'network.remove.after_link',
  'network.connect.after_row',
  'network.connect.after_plug',
  'network.disconnect.after_unplug',
]
const HOW = ['kill', 'error'] as const
const crossed = (names: readonly string[]) => names.flatMap((name) => HOW.map((how) => [how, name] as const))

let host: TestHost
let runtime: Runtime | undefined

const open = async (change: Partial<RuntimeOptions> = {}): Promise<Runtime> => {
  runtime = await openRuntime({ ...host.options, ...change })
  return runtime
}
const close = async (): Promise<void> => {
  await runtime?.close()
  runtime = undefined
}

beforeEach(() => {
  host = makeTestHost()
})
afterEach(async () => {
  await close()
  await host.dispose()
})

const SLEEPER: ContainerSpec = { name: 'web', image: 'tiny:1', command: ['sleep', '1000'] }

/** A host with the tiny image and what `prepare` makes; closed again. */
async function prepared<T>(prepare: (opened: Runtime) => Promise<T>): Promise<T> {
  const opened = await open()
  await buildTinyImage(opened)
  const result = await prepare(opened)
  await close()
  return result
}

/** Makes the calls in a child that meets the failpoint at the last one; fails when it never got there. */
async function crash(how: 'kill' | 'error', failpoint: string, ...calls: ChildWork['calls']): Promise<void> {
  const end = await spawnRuntime({ options: host.options, calls }, `${failpoint}=${how}`).ended
  if (how === 'kill') expect(end.signal).toBe('SIGKILL')
  else if (!failpoint.startsWith('container.exit'))
    expect(end.answers.at(-1)).toEqual({ code: 'failpoint.error' })
}

const short = (id: ContainerId) => id.slice(0, 12)
const processes = ({ id }: { id: ContainerId }) =>
  processesOf(id, `${host.options.cgroupParent}/${short(id)}`)

/** Nothing of a run is on the host. */
function expectDown(container: { id: ContainerId }): void {
  expect(processes(container)).toEqual([])
  expect(mountsBelow(host.dir)).toEqual([])
  expect(readdirSync(`${host.options.runRoot}/c`)).toEqual([])
  expect(readdirSync(`${host.options.runRoot}/oci`)).toEqual([])
}

/** No file or row of any container is left. */
function expectNoContainers(): void {
  expect(readdirSync(`${host.options.root}/containers`)).toEqual([])
  expect(readdirSync(`${host.options.root}/s`)).toEqual([])
  const { db, close: closeDb } = openMetadata(host.options.root)
  expect(db.prepare('SELECT count(*) AS n FROM snapshot').get()).toEqual({ n: 0 })
  expect(db.prepare('SELECT count(*) AS n FROM address').get()).toEqual({ n: 0 })
  closeDb()
}

/** The whole life goes through under the same name. */
async function expectWorks(opened: Runtime): Promise<void> {
  const again = await opened.containers.create(SLEEPER)
  expect(await opened.containers.start(again.id)).toMatchObject({ state: 'running' })
  await opened.containers.remove(again.id, { force: true })
  expectNoContainers()
  expectDown(again)
}

test('every failpoint of the runtime is met by a test here', () => {
  const src = fileURLToPath(new URL('.', import.meta.url))
  const names = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
    .flatMap((path) => [...readFileSync(join(src, path), 'utf8').matchAll(/\bfailpoint\('([^']+)'\)/g)])
    .map((match) => match[1])
  expect([...new Set(names)].sort()).toEqual(
    [
      ...CREATE,
      ...VOLUME,
      ...BUILD,
      ...START,
      ...REMOVE,
      ...EXIT,
      ...PAUSE,
      ...UPDATE,
      ...RESTART,
      ...PULL,
      ...NETWORK,
    ].sort(),
  )
})

describe('F7: done or undone, never half', () => {
  test.each(crossed(CREATE))('create meets %s at %s', async (how, failpoint) => {
    await prepared(async () => {})
    await crash(how, failpoint, ['containers', 'create', SLEEPER])
    const opened = await open()
    const [found, ...others] = await opened.containers.list()
    expect(others).toEqual([])
    if (how === 'kill' && failpoint === 'container.create.after_commit') {
      expect(found).toMatchObject({ state: 'created', spec: SLEEPER })
      if (found) await opened.containers.remove(found.id)
    } else expect(found).toBeUndefined()
    expectNoContainers()
    await expectWorks(opened)
  })

  test.each(crossed(START))('start meets %s at %s', async (how, failpoint) => {
    const container = await prepared((opened) => opened.containers.create(SLEEPER))
    await crash(how, failpoint, ['containers', 'start', container.id])
    const opened = await open()
    const found = await opened.containers.inspect(container.id)
    expect(found.restartCount).toBe(0)
    if (how === 'kill' && failpoint === 'container.start.after_row') {
      expect(found.state).toBe('running')
      expect(processes(container)).toContain(found.pid)
    } else {
      expect(found.state).toBe('created')
      expectDown(container)
      expect(await opened.containers.start(container.id)).toMatchObject({ state: 'running', restartCount: 0 })
    }
    await opened.containers.remove(container.id, { force: true })
    await expectWorks(opened)
  })

  test.each(crossed(REMOVE))('remove meets %s at %s', async (how, failpoint) => {
    const container = await prepared((opened) => opened.containers.create(SLEEPER))
    const calls: ChildWork['calls'] = [
      ['containers', 'start', container.id],
      ['containers', 'remove', container.id, { force: true }],
    ]
    await crash(how, failpoint, ...calls)
    const opened = await open()
    expect(await opened.containers.list()).toEqual([])
    expectNoContainers()
    expectDown(container)
    await expectWorks(opened)
  })

  test.each(crossed(EXIT))('an exit meets %s at %s', async (how, failpoint) => {
    const spec = { ...SLEEPER, command: ['sh', '-c', 'exit 5'] }
    const container = await prepared((opened) => opened.containers.create(spec))
    const calls: ChildWork['calls'] = [
      ['containers', 'start', container.id],
      ['containers', 'wait', container.id],
    ]
    await crash(how, failpoint, ...calls)
    const opened = await open()
    expect(await opened.containers.inspect(container.id)).toMatchObject({
      state: 'exited',
      exit: { code: 5 },
    })
    expectDown(container)
    expect(await opened.containers.start(container.id)).toMatchObject({ restartCount: 1 })
    await opened.containers.wait(container.id)
    await opened.containers.remove(container.id)
    await expectWorks(opened)
  })

  test.each(crossed(PAUSE))('a pause meets %s at %s', async (how, failpoint) => {
    const container = await prepared((opened) => opened.containers.create(SLEEPER))
    const calls: ChildWork['calls'] = [
      ['containers', 'start', container.id],
      ['containers', 'pause', container.id],
    ]
    await crash(how, failpoint, ...calls)
    const opened = await open()
    expect(await opened.containers.inspect(container.id)).toMatchObject({
      state: how === 'kill' ? 'paused' : 'running',
    })
    if (how === 'kill') await opened.containers.unpause(container.id)
    expect((await opened.containers.stop(container.id)).exit).toMatchObject({ code: 143 })
    await opened.containers.remove(container.id)
    await expectWorks(opened)
  })

  test.each(crossed(UPDATE))('an update meets %s at %s', async (how, failpoint) => {
    const MIB = 1024 * 1024
    const before = { memoryBytes: 32 * MIB }
    const container = await prepared((opened) => opened.containers.create({ ...SLEEPER, resources: before }))
    const calls: ChildWork['calls'] = [
      ['containers', 'start', container.id],
      ['containers', 'update', container.id, { resources: { memoryBytes: 64 * MIB } }],
    ]
    await crash(how, failpoint, ...calls)
    const opened = await open()
    const memoryBytes = (how === 'kill' ? 64 : 32) * MIB
    expect((await opened.containers.inspect(container.id)).spec.resources).toEqual({ memoryBytes })
    expect(await opened.containers.stats(container.id)).toMatchObject({ memoryLimitBytes: memoryBytes })
    await opened.containers.remove(container.id, { force: true })
    await expectWorks(opened)
  })

  test('a restart by policy meets kill: it is made after the next open', async () => {
    const spec: ContainerSpec = { ...SLEEPER, command: ['sh', '-c', 'exit 5'], restart: { name: 'always' } }
    const container = await prepared((opened) => opened.containers.create(spec))
    const calls = [['containers', 'start', container.id]] as const
    const armed = `${RESTART[0]}=kill`
    expect(await spawnRuntime({ options: host.options, calls, hold: true }, armed).ended).toMatchObject({
      signal: 'SIGKILL',
    })
    const opened = await open()
    await until(
      'it was restarted',
      async () => (await opened.containers.inspect(container.id)).restartCount >= 2,
    )
    await opened.containers.remove(container.id, { force: true })
    await expectWorks(opened)
  })

  test('a start at open meets kill: it is made at the open after it', async () => {
    const spec: ContainerSpec = { ...SLEEPER, restart: { name: 'always' } }
    const container = await prepared(async (opened) => {
      const { id } = await opened.containers.start((await opened.containers.create(spec)).id)
      return opened.containers.stop(id, { timeoutMs: 0 })
    })
    const end = await spawnRuntime({ options: host.options, calls: [], hold: true }, `${RESTART[1]}=kill`)
      .ended
    expect(end.signal).toBe('SIGKILL')
    const opened = await open()
    await until('it runs', async () => (await opened.containers.inspect(container.id)).state === 'running')
    await opened.containers.remove(container.id, { force: true })
    await expectWorks(opened)
  })

  test.each(RESTART)('an error at %s is got over', async (failpoint) => {
    const spec: ContainerSpec = { ...SLEEPER, restart: { name: 'always' } }
    const container = await prepared(async (opened) => {
      const { id } = await opened.containers.start((await opened.containers.create(spec)).id)
      return opened.containers.stop(id, { timeoutMs: 0 })
    })
    const calls = [['containers', 'wait', container.id, null, 'next-exit']] as const
    const child = spawnRuntime({ options: host.options, calls, hold: true }, `${failpoint}=1*error->off`)
    await until('it runs', () => processes(container).some((pid) => pid !== process.pid), 15_000)
    await child.kill()
    const opened = await open()
    await until('it runs', async () => (await opened.containers.inspect(container.id)).state === 'running')
    await opened.containers.remove(container.id, { force: true })
  })

  test.each(crossed(BUILD))('a build meets %s at %s', async (how, failpoint) => {
    await prepared(async () => undefined)
    const contextDir = `${host.dir}/context`
    mkdirSync(contextDir)
    writeFileSync(`${contextDir}/Dockerfile`, 'FROM tiny:1\nRUN echo built > /built\n')
    const request = { contextDir, tags: ['built:1'] }
    await crash(how, failpoint, ['images', 'build', request])
    const opened = await open()
    expect(await opened.images.find('built:1')).toBeUndefined()
    expect(readdirSync(`${host.options.root}/l`).filter((name) => !/^\d+$/.test(name))).toEqual([])
    expect(mountsBelow(host.options.runRoot)).toEqual([])
    const { image } = await opened.build(request)
    const container = await opened.containers.create({
      ...SLEEPER,
      image: image.id,
      command: ['cat', '/built'],
    })
    await opened.containers.start(container.id)
    expect(await opened.containers.wait(container.id)).toMatchObject({ code: 0 })
  })

  describe('pull', () => {
    let registry: Awaited<ReturnType<typeof openTestRegistry>>
    beforeEach(async () => {
      registry = await openTestRegistry()
    })
    afterEach(() => registry.dispose())

    test.each(crossed(PULL))('a pull meets %s at %s', async (how, failpoint) => {
      const reference = `${registry.host}/demo/web:1`
      const pushed = await prepared(async (opened) => {
        const image = await buildTinyImage(opened, { tag: reference })
        await opened.images.push(reference)
        for (const { id } of await opened.images.list()) await opened.images.remove(id, { force: true })
        return image
      })
      await crash(how, failpoint, ['images', 'pull', reference])
      const opened = await open()
      expect(await opened.images.list()).toEqual([])
      expect(readdirSync(`${host.options.root}/content/ingest`)).toEqual([])
      expect(readdirSync(`${host.options.root}/l`).filter((name) => name.endsWith('.new'))).toEqual([])
      expect(await opened.images.pull(reference)).toMatchObject({ id: pushed.id, diffIds: pushed.diffIds })
      const container = await opened.containers.create({ ...SLEEPER, image: reference, command: ['true'] })
      await opened.containers.start(container.id)
      expect(await opened.containers.wait(container.id)).toMatchObject({ code: 0 })
    })
  })
})

/** Starts containers in a child, kills it, and gives what they were. */
async function abandoned(specs: readonly ContainerSpec[]): Promise<ContainerInfo[]> {
  const created = await prepared(async (opened) => {
    const all: ContainerInfo[] = []
    for (const spec of specs) all.push(await opened.containers.create(spec))
    return all
  })
  const calls = created.map(({ id }) => ['containers', 'start', id] as const)
  const child = spawnRuntime({ options: host.options, calls, hold: true })
  const answers = await child.answers
  await child.kill()
  return answers.map((answer) => answer.result as ContainerInfo)
}

const firstLine = async (opened: Runtime, id: ContainerId): Promise<string | undefined> => {
  for await (const entry of opened.containers.logs(id, { follow: true })) return entry.line
  return undefined
}

describe('the agent is killed', () => {
  test('running containers are adopted: same process, no restart, further output and the end are seen', async () => {
    const script = 'trap "echo bye; exit 4" TERM; echo hello; while :; do sleep 0.05; done'
    const [before] = await abandoned([{ ...SLEEPER, command: ['sh', '-c', script] }])
    if (!before) throw new Error('nothing was started')
    const opened = await open()
    const after = await opened.containers.inspect(before.id)
    expect(after).toMatchObject({
      state: 'running',
      pid: before.pid,
      restartCount: 0,
      startedAt: before.startedAt,
    })
    expect(await firstLine(opened, before.id)).toBe('hello')
    expect((await opened.containers.stop(before.id)).exit).toEqual({ code: 4, oomKilled: false })
    const lines: string[] = []
    for await (const entry of opened.containers.logs(before.id)) lines.push(entry.line)
    expect(lines).toEqual(['hello', 'bye'])
  })

  test('an exit that nobody was there to see is told with its code', async () => {
    const [stays, ends] = await abandoned([
      SLEEPER,
      { ...SLEEPER, name: 'ends', command: ['sh', '-c', 'trap "exit 6" TERM; while :; do sleep 0.05; done'] },
    ])
    if (!stays || !ends?.pid) throw new Error('nothing was started')
    // The init of the container passes it on.
    await until('the shell has set its trap', () => processes(ends).length >= 4)
    signalProcess(ends.pid, 'SIGTERM')
    await until('its exit is on disk', () => readdirSync(`${host.options.runRoot}/exits`).includes(ends.id))
    const opened = await open()
    expect(await opened.containers.inspect(ends.id)).toMatchObject({
      state: 'exited',
      exit: { code: 6 },
      restartCount: 0,
    })
    expect(await opened.containers.inspect(stays.id)).toMatchObject({ state: 'running', pid: stays.pid })
  })

  test('a container whose monitor is killed too is ended and says so', async () => {
    const [before] = await abandoned([SLEEPER])
    if (!before) throw new Error('nothing was started')
    const monitor = Number(readFileSync(`${host.options.runRoot}/c/${short(before.id)}/conmon.pid`, 'utf8'))
    signalProcess(monitor, 'SIGKILL')
    const opened = await open()
    expect(await opened.containers.wait(before.id)).toMatchObject({ code: 255, reason: 'monitor_lost' })
    await until('its processes are gone', () => processes(before).length === 0)
    expect(await opened.containers.start(before.id)).toMatchObject({ state: 'running', restartCount: 1 })
  })
})

describe('the host is rebooted', () => {
  test.each([
    ['and its volatile files are gone', true],
    ['and its volatile files are still there', false],
  ])('containers are exited with the reason and start again, %s', async (_name, isPurged) => {
    const opened = await open()
    await buildTinyImage(opened)
    const { id } = await opened.containers.create(SLEEPER)
    await opened.containers.start(id)
    await close()
    if (isPurged) await purgeHost({ ...host.options, keepData: true })
    const next = await open({ bootId: 'the-next-boot' })
    expect(await next.containers.inspect(id)).toMatchObject({
      state: 'exited',
      exit: { code: 255, reason: 'host_rebooted' },
    })
    expectDown({ id })
    expect(await next.containers.start(id)).toMatchObject({ state: 'running', restartCount: 1 })
  })
})

describe('one host, one runtime', () => {
  test('a second runtime on the same root is refused, and let in once the first has closed', async () => {
    await open()
    await expect(openRuntime(host.options)).rejects.toMatchObject({ code: 'runtime.locked' })
    await close()
    await expect(open()).resolves.toBeDefined()
  })

  test('a purge ends everything even while containers run, twice as well as once', async () => {
    const opened = await open()
    await buildTinyImage(opened)
    for (const name of ['a', 'b', 'c']) {
      const { id } = await opened.containers.create({
        ...SLEEPER,
        name,
        ports: [{ protocol: 'tcp', containerPort: 80, hostPort: 0 }],
      })
      await opened.containers.start(id)
    }
    await close()
    await purgeHost({ ...host.options, keepData: false })
    await expect(purgeHost({ ...host.options, keepData: false })).resolves.toBeUndefined()
    // What must be gone is checked for every test when its host is disposed of.
    expect(readdirSync(host.dir)).toEqual([])
  })
})

beforeAll(() => expect(process.getuid?.()).toBe(0))
