import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { ContainerId } from '@berth/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ContainerInfo, ContainerSpec, RestartPolicy, Runtime, RuntimeOptions } from '../api.js'
import { signalProcess } from '../host/process.exec.js'
import { openMetadata } from '../metadata.store.js'
import { purgeHost } from '../purge.exec.js'
import { openRuntime } from '../runtime.js'
import { buildTinyImage, makeTestHost, spawnRuntime, type TestHost, until } from '../testing/index.js'
import { processesOf } from '../testing/leftovers.js'

const PATH = process.env.PATH
let host: TestHost
let runtime: Runtime | undefined
const open = async (change: Partial<RuntimeOptions> = {}): Promise<Runtime> => {
  runtime = await openRuntime({ ...host.options, ...change })
  return runtime
}
const close = async () => {
  await runtime?.close()
  runtime = undefined
}
beforeEach(async () => {
  host = makeTestHost()
  await buildTinyImage(await open())
})
afterEach(async () => {
  process.env.PATH = PATH
  await close()
  await host.dispose()
})

const SLEEPER: ContainerSpec = { name: 'web', image: 'tiny:1', command: ['sleep', '1000'], network: 'none' }
const short = (id: ContainerId) => id.slice(0, 12)
const processes = ({ id }: { id: ContainerId }) =>
  processesOf(id, `${host.options.cgroupParent}/${short(id)}`)
const bundleOf = ({ id }: { id: ContainerId }) => `${host.options.runRoot}/c/${short(id)}`
const monitorOf = (container: { id: ContainerId }) =>
  Number(readFileSync(`${bundleOf(container)}/conmon.pid`, 'utf8'))
const linesOf = async (opened: Runtime, id: ContainerId): Promise<string[]> => {
  const all: string[] = []
  for await (const { line } of opened.containers.logs(id)) all.push(line)
  return all
}
const untilRuns = (opened: Runtime, id: ContainerId, timeoutMs?: number) =>
  until(
    'it runs',
    async () => {
      const now = await opened.containers.inspect(id)
      return now.state === 'running' ? now : undefined
    },
    timeoutMs,
  )

/** Containers that run while no agent does. */
async function left(...specs: Partial<ContainerSpec>[]): Promise<ContainerInfo[]> {
  const opened = await open0()
  const all: ContainerInfo[] = []
  for (const [index, spec] of specs.entries()) {
    const { id } = await opened.containers.create({ ...SLEEPER, name: `c${index}`, ...spec })
    all.push(await opened.containers.start(id))
  }
  await close()
  return all
}
const open0 = async (): Promise<Runtime> => runtime ?? open()
const sh = (script: string): Partial<ContainerSpec> => ({ command: ['sh', '-c', script] })
/** Ends with its code at a SIGTERM to it, which the init passes on. */
const ending = (code: number) => sh(`trap "exit ${code}" TERM; echo ready; while :; do sleep 0.02; done`)

async function endUnseen(container: ContainerInfo): Promise<void> {
  const log = `${host.options.root}/containers/${container.id}/log`
  await until('the trap is set', () => existsSync(log) && readFileSync(log, 'utf8').includes('ready'))
  signalProcess(container.pid ?? 0, 'SIGTERM')
  await until('its exit is on disk', () => existsSync(`${host.options.runRoot}/exits/${container.id}`))
}

test('agents killed at any moment interrupt no container: not one count is missing from the logs (F1)', async () => {
  const counting = sh('i=0; while :; do echo $i; i=$((i+1)); sleep 0.005; done')
  const containers = await left(...Array.from({ length: 8 }, () => counting))
  for (let round = 0; round < 8; round++) {
    const child = spawnRuntime({ options: host.options, calls: [['containers', 'list']], hold: true })
    // The first ones are killed while they open.
    if (round < 3) await new Promise((resolve) => setTimeout(resolve, 60 + 40 * round))
    else await child.answers
    await child.kill()
  }
  const opened = await open()
  for (const { id, pid } of containers) {
    expect(await opened.containers.inspect(id)).toMatchObject({ state: 'running', pid, restartCount: 0 })
    const counts = (await linesOf(opened, id)).map(Number)
    expect(counts.length).toBeGreaterThan(50)
    expect(counts.every((count, index) => count === index)).toBe(true)
    await opened.containers.remove(id, { force: true })
  }
})

describe('an end that nobody was there to see (F2)', () => {
  const ALWAYS: RestartPolicy = { name: 'always' }
  test('is told with its code and time, and its restart policy follows at open', async () => {
    const [plain, always, failed, done] = await left(
      ending(7),
      { ...ending(7), restart: ALWAYS },
      { ...ending(7), restart: { name: 'on-failure', retriesMax: 0 } },
      { ...ending(0), restart: { name: 'on-failure', retriesMax: 0 } },
    )
    if (!plain || !always || !failed || !done) throw new Error('nothing was started')
    for (const container of [plain, always, failed, done]) await endUnseen(container)
    const opened = await open()
    const { state, exit, finishedAt } = await opened.containers.inspect(plain.id)
    expect({ state, exit }).toEqual({ state: 'exited', exit: { code: 7, oomKilled: false } })
    expect(Math.abs(Date.parse(finishedAt ?? '') - Date.now())).toBeLessThan(20_000)
    for (const { id } of [always, failed])
      expect(await untilRuns(opened, id)).toMatchObject({ restartCount: 1 })
    expect(await opened.containers.inspect(done.id)).toMatchObject({ state: 'exited', exit: { code: 0 } })
  })

  test('takes a container that removes itself away', async () => {
    const [container] = await left({ ...ending(7), autoRemove: true })
    if (!container) throw new Error('nothing was started')
    await endUnseen(container)
    const opened = await open()
    expect(await opened.containers.list()).toEqual([])
    expect(existsSync(`${host.options.root}/containers/${container.id}`)).toBe(false)
  })

  test('with monitor and process both killed (F4): ended, everything free, and it starts again', async () => {
    const [plain, always] = await left({}, { restart: ALWAYS })
    if (!plain || !always) throw new Error('nothing was started')
    for (const container of [plain, always])
      for (const pid of [monitorOf(container), container.pid ?? 0]) signalProcess(pid, 'SIGKILL')
    await until('all are dead', () => processes(plain).length + processes(always).length === 0)
    const opened = await open()
    expect(await opened.containers.inspect(plain.id)).toMatchObject({ state: 'exited', exit: { code: 255 } })
    expect(existsSync(bundleOf(plain))).toBe(false)
    expect(await opened.containers.start(plain.id)).toMatchObject({ state: 'running' })
    await untilRuns(opened, always.id)
  })
})

describe('stopped by hand', () => {
  test('`always` starts at the next open, `unless-stopped` and on-failure do not, nor does what never ran', async () => {
    const opened = await open0()
    const policies: RestartPolicy[] = [
      { name: 'always' },
      { name: 'unless-stopped' },
      { name: 'on-failure', retriesMax: 0 },
    ]
    const ids: ContainerId[] = []
    for (const restart of policies) {
      const { id } = await opened.containers.create({ ...SLEEPER, name: restart.name, restart })
      await opened.containers.start(id)
      await opened.containers.stop(id, { timeoutMs: 0 })
      ids.push(id)
    }
    const never = await opened.containers.create({ ...SLEEPER, name: 'never', restart: { name: 'always' } })
    await close()
    const again = await open()
    const [always = never.id, ...others] = ids
    expect(await untilRuns(again, always)).toMatchObject({ restartCount: 0 })
    for (const id of others) expect(await again.containers.inspect(id)).toMatchObject({ state: 'exited' })
    expect(await again.containers.inspect(never.id)).toMatchObject({ state: 'created' })
  })

  test('is known to a runtime that was killed right after', async () => {
    const opened = await open0()
    const spec: ContainerSpec = { ...SLEEPER, restart: { name: 'unless-stopped' } }
    const { id } = await opened.containers.create(spec)
    await close()
    const calls = [
      ['containers', 'start', id],
      ['containers', 'stop', id, { timeoutMs: 0 }],
    ] as const
    const child = spawnRuntime({ options: host.options, calls, hold: true })
    await child.answers
    await child.kill()
    const again = await open()
    expect(await again.containers.inspect(id)).toMatchObject({ state: 'exited', restartCount: 0 })
  })
})

describe('the monitor is killed while the agent lives (F3)', () => {
  test('the container is ended and says so; a policy brings it back within five seconds; removal never hangs', async () => {
    const opened = await open0()
    const started = async (name: string, restart: RestartPolicy) =>
      opened.containers.start((await opened.containers.create({ ...SLEEPER, name, restart })).id)
    const plain = await started('plain', { name: 'no' })
    const always = await started('always', { name: 'always' })
    const removed = await started('removed', { name: 'no' })
    for (const container of [plain, always, removed]) signalProcess(monitorOf(container), 'SIGKILL')
    await opened.containers.remove(removed.id, { force: true })
    expect(await opened.containers.wait(plain.id)).toMatchObject({ code: 255, reason: 'monitor_lost' })
    const back = await until(
      'it came back',
      async () => {
        const now = await opened.containers.inspect(always.id)
        return now.state === 'running' && now.restartCount === 1 ? now : undefined
      },
      6_000,
    )
    expect(back.pid).not.toBe(always.pid)
    await until('the old process is gone', () => processes(plain).length === 0)
  })
})

describe('the OCI runtime is a wreck', () => {
  /** A crun before the real one: `create` of a container with this name in its bundle's config does something else. */
  function wreck(what: string): void {
    const bin = join(host.dir, 'bin')
    mkdirSync(bin, { recursive: true })
    const script = `#!/bin/bash\nif [[ " $* " == *" create "* && -e ${bin}/armed ]]; then\n${what}\nfi\nexec /usr/bin/crun "$@"\n`
    writeFileSync(join(bin, 'crun'), script, { mode: 0o755 })
    process.env.PATH = `${bin}:${PATH}`
  }
  const arm = (isArmed: boolean) =>
    isArmed
      ? writeFileSync(join(host.dir, 'bin/armed'), '')
      : rmSync(join(host.dir, 'bin/armed'), { force: true })

  test('killed in the middle of a create, the start fails and leaves nothing; the next one works (F5)', async () => {
    await close()
    wreck('(sleep 0.02; kill -9 $$) & exec -a crun /bin/sh -c "kill -STOP \\$\\$" crun "$@"')
    const opened = await open()
    const container = await opened.containers.create(SLEEPER)
    arm(true)
    await expect(opened.containers.start(container.id)).rejects.toMatchObject({
      code: 'container.create_failed',
    })
    expect(processes(container)).toEqual([])
    expect(existsSync(bundleOf(container))).toBe(false)
    expect(await opened.containers.inspect(container.id)).toMatchObject({ state: 'created' })
    arm(false)
    expect(await opened.containers.start(container.id)).toMatchObject({ state: 'running' })
    await opened.containers.remove(container.id, { force: true })
  })

  test('hung for ever, it is given up after a minute and blocks no other container (F6)', async () => {
    await close()
    wreck(
      'rm -f ARMED; exec -a crun /bin/sh -c "kill -STOP \\$\\$" crun "$@"'.replace(
        'ARMED',
        `${host.dir}/bin/armed`,
      ),
    )
    const opened = await open()
    const hung = await opened.containers.create({ ...SLEEPER, name: 'hung' })
    const other = await opened.containers.create({ ...SLEEPER, name: 'other' })
    arm(true)
    const starting = opened.containers.start(hung.id).catch((error) => error)
    await until('it hangs', () => !existsSync(join(host.dir, 'bin/armed')))
    expect(await opened.containers.start(other.id)).toMatchObject({ state: 'running' })
    await opened.containers.remove(other.id, { force: true })
    expect(await starting).toMatchObject({ code: 'host.program_hung' })
    expect(processes(hung)).toEqual([])
    expect(await opened.containers.start(hung.id)).toMatchObject({ state: 'running' })
  }, 120_000)
})

describe('the host is rebooted (F8)', () => {
  test('policies start what ran, the rest has ended for that reason; what removes itself is gone', async () => {
    const [plain, always, unlessStopped, onFailure, temporary] = await left(
      {},
      { restart: { name: 'always' } },
      { restart: { name: 'unless-stopped' } },
      { restart: { name: 'on-failure', retriesMax: 3 } },
      { autoRemove: true },
    )
    if (!plain || !always || !unlessStopped || !onFailure || !temporary)
      throw new Error('nothing was started')
    await purgeHost({ ...host.options, keepData: true })
    const opened = await open({ bootId: 'the-next-boot' })
    expect(await opened.containers.inspect(plain.id)).toMatchObject({
      state: 'exited',
      exit: { code: 255, reason: 'host_rebooted' },
    })
    for (const { id } of [always, unlessStopped, onFailure]) await untilRuns(opened, id)
    await expect(opened.containers.inspect(temporary.id)).rejects.toMatchObject({
      code: 'container.not_found',
    })
  })
})

test('health checks of adopted containers go on', async () => {
  const [container] = await left({
    health: { test: { shell: '[ ! -e /sick ]' }, intervalMs: 100, retries: 1 },
    ...sh('sleep 1; touch /sick; sleep 1000'),
  })
  if (!container) throw new Error('nothing was started')
  const opened = await open()
  await until('it is unhealthy', async () => {
    const { health } = await opened.containers.inspect(container.id)
    return health?.status === 'unhealthy'
  })
})

test('a paused container is found paused, and goes on', async () => {
  const opened = await open0()
  const { id } = await opened.containers.start((await opened.containers.create(SLEEPER)).id)
  await opened.containers.pause(id)
  await close()
  const again = await open()
  expect(await again.containers.inspect(id)).toMatchObject({ state: 'paused' })
  await again.containers.unpause(id)
  expect(await again.containers.stop(id)).toMatchObject({ exit: { code: 143 } })
})

describe('stale and torn files', () => {
  test('whatever lies about in the run root, the runtime opens clean (F45)', async () => {
    const [container] = await left({})
    if (!container) throw new Error('nothing was started')
    const { root, runRoot } = host.options
    writeFileSync(`${root}/lock`, '4194303\n')
    const stranger = 'f'.repeat(64) as ContainerId
    mkdirSync(`${runRoot}/c/${short(stranger)}/rootfs`, { recursive: true })
    writeFileSync(`${runRoot}/c/${short(stranger)}/conmon.pid`, '1')
    writeFileSync(`${runRoot}/exits/${stranger}`, '0')
    writeFileSync(`${runRoot}/exits/nonsense`, 'x')
    mkdirSync(`${root}/containers/${stranger}`, { recursive: true })
    writeFileSync(`${root}/containers/${stranger}/hosts`, 'x')
    const opened = await open()
    expect(await opened.containers.inspect(container.id)).toMatchObject({
      state: 'running',
      pid: container.pid,
    })
    expect(existsSync(`${runRoot}/c/${short(stranger)}`)).toBe(false)
    expect(existsSync(`${root}/containers/${stranger}`)).toBe(false)
    await expect(openRuntime(host.options)).rejects.toMatchObject({ code: 'runtime.locked' })
  })

  test('a torn record keeps nobody from opening: it is put aside and named, its processes ended, its name free (F46)', async () => {
    const [torn, whole] = await left({}, {})
    if (!torn || !whole) throw new Error('nothing was started')
    const { db, close: closeDb } = openMetadata(host.options.root)
    db.prepare('UPDATE container SET record = substr(record, 1, 100) WHERE id = ?').run(torn.id)
    closeDb()
    const opened = await open()
    expect((await opened.containers.list()).map(({ id }) => id)).toEqual([whole.id])
    expect(opened.info().warnings.join('\n')).toContain(`container c0 (${short(torn.id)}) was put aside`)
    await until('its processes are gone', () => processes(torn).length === 0)
    expect(existsSync(bundleOf(torn))).toBe(false)
    await opened.containers.create({ ...SLEEPER, name: 'c0' })
    await close()
    expect((await open()).info().warnings.join('\n')).not.toContain('put aside')
  })

  test.each(['conmon.pid', 'pid', 'config.json'])(
    'a running container whose %s is torn is told as what it is, and can be removed',
    async (name) => {
      const [container] = await left({})
      if (!container) throw new Error('nothing was started')
      truncateSync(`${bundleOf(container)}/${name}`, 1)
      appendFileSync(`${bundleOf(container)}/${name}`, '\0')
      const opened = await open()
      await opened.containers.stop(container.id, { timeoutMs: 0 })
      expect(await opened.containers.inspect(container.id)).toMatchObject({ state: 'exited' })
      await opened.containers.remove(container.id)
      await until('its processes are gone', () => processes(container).length === 0)
    },
  )

  test.each(['', '\0', '1x', '99999', '-1'])('the exit file %j is not believed', async (text) => {
    const [container] = await left({})
    if (!container) throw new Error('nothing was started')
    for (const pid of [monitorOf(container), container.pid ?? 0]) signalProcess(pid, 'SIGKILL')
    await until('all are dead', () => processes(container).length === 0)
    writeFileSync(`${host.options.runRoot}/exits/${container.id}`, text)
    const opened = await open()
    expect(await opened.containers.inspect(container.id)).toMatchObject({
      state: 'exited',
      exit: { code: 255, reason: 'monitor_lost' },
    })
  })
})
