import { setTimeout as elapse } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ContainerInfo, ContainerSpec, LogEntry, LogOptions, RuntimeEvent } from '../api.js'
import { buildTinyImage, openTestRuntime, type TestRuntime, until } from '../testing/index.js'
import { processesOf } from '../testing/leftovers.js'

let host: TestRuntime
beforeAll(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime)
})
afterAll(() => host?.dispose())

let count = 0
const make = (command: readonly string[], rest: Partial<ContainerSpec> = {}): Promise<ContainerInfo> => {
  count += 1
  const spec = { name: `c${count}`, image: 'tiny:1', command, network: 'none', ...rest } as const
  return host.runtime.containers.create(spec)
}
const run = async (command: readonly string[], rest: Partial<ContainerSpec> = {}): Promise<ContainerInfo> =>
  host.runtime.containers.start((await make(command, rest)).id)
const sh = (script: string, rest: Partial<ContainerSpec> = {}) => run(['sh', '-c', script], rest)

async function logsOf({ id }: ContainerInfo, options: LogOptions = {}): Promise<LogEntry[]> {
  const entries: LogEntry[] = []
  for await (const entry of host.runtime.containers.logs(id, options)) entries.push(entry)
  return entries
}
const linesOf = async (container: ContainerInfo, options: LogOptions = {}): Promise<string[]> =>
  (await logsOf(container, options)).map((entry) => entry.line)

/** What a script says, once it has ended. */
async function outputOf(script: string, rest: Partial<ContainerSpec> = {}): Promise<string[]> {
  const container = await sh(script, rest)
  await host.runtime.containers.wait(container.id)
  return linesOf(container)
}

describe('a container’s life', () => {
  test('created, running, exited, gone: each state with what belongs to it', async () => {
    const { containers } = host.runtime
    const created = await make(['sleep', '1000'], { labels: { tier: 'life' } })
    expect(created).toMatchObject({ state: 'created', pid: undefined, restartCount: 0 })
    expect(created.exit).toBeUndefined()
    const running = await containers.start(created.id)
    expect(running).toMatchObject({ state: 'running', restartCount: 0, published: true })
    expect(running.pid).toBeGreaterThan(1)
    expect(await containers.inspect(created.id.slice(0, 8))).toMatchObject({ id: created.id })
    expect(await containers.inspect(created.spec.name)).toMatchObject({ pid: running.pid })
    expect(await containers.list({ labels: { tier: 'life' } })).toHaveLength(1)
    await containers.kill(created.id)
    expect(await containers.wait(created.id)).toEqual({ code: 137, signal: 9, oomKilled: false })
    const exited = await containers.inspect(created.id)
    expect(exited).toMatchObject({ state: 'exited', pid: undefined, exit: { code: 137 } })
    expect(Date.parse(exited.finishedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(exited.startedAt ?? ''))
    await containers.remove(created.id)
    await expect(containers.inspect(created.id)).rejects.toMatchObject({ code: 'container.not_found' })
  })

  test.each([0, 1, 42, 255])('the exit code %i is told as it was', async (code) => {
    const container = await sh(`exit ${code}`)
    expect(await host.runtime.containers.wait(container.id)).toEqual({ code, oomKilled: false })
  })

  test('starting what runs, stopping what stopped and removing what is gone change nothing', async () => {
    const { containers } = host.runtime
    const first = await run(['sleep', '1000'])
    const again = await containers.start(first.id)
    expect(again).toMatchObject({ pid: first.pid, restartCount: 0 })
    const stopped = await containers.stop(first.id, { timeoutMs: 0 })
    expect(await containers.stop(first.id)).toEqual(stopped)
    await containers.remove(first.id)
    await expect(containers.remove(first.id)).resolves.toBeUndefined()
  })

  test('an exited container starts again with its files and one restart more', async () => {
    const { containers } = host.runtime
    const container = await sh('echo run >> /runs; cat /runs')
    await containers.wait(container.id)
    expect(await containers.start(container.id)).toMatchObject({ restartCount: 1 })
    await containers.wait(container.id)
    expect(await linesOf(container)).toEqual(['run', 'run', 'run'])
  })

  test('a running container is removed only by force', async () => {
    const { containers } = host.runtime
    const container = await run(['sleep', '1000'])
    await expect(containers.remove(container.id)).rejects.toMatchObject({ code: 'container.running' })
    await containers.remove(container.id, { force: true })
    await expect(containers.inspect(container.id)).rejects.toMatchObject({ code: 'container.not_found' })
  })

  test('a name in use, a missing image and a bad spec are refused and leave nothing', async () => {
    const { containers } = host.runtime
    const taken = await make(['true'])
    const before = await containers.list()
    const refusals: [Partial<ContainerSpec>, string][] = [
      [{ name: taken.spec.name }, 'container.name_taken'],
      [{ image: 'nobody/has:this' }, 'image.not_found'],
      [{ name: '../up' }, 'container.spec_invalid'],
      [{ env: ['A=\0'] }, 'container.spec_invalid'],
    ]
    for (const [change, code] of refusals)
      await expect(make(['true'], change)).rejects.toMatchObject({ code })
    expect(await containers.list()).toEqual(before)
  })

  test('a program that does not exist fails the start with its name, and the container stays as it was', async () => {
    const { containers } = host.runtime
    const container = await make(['/no/such/program'], { init: false })
    await expect(containers.start(container.id)).rejects.toThrow(/no\/such\/program/)
    expect(await containers.inspect(container.id)).toMatchObject({ state: 'created', restartCount: 0 })
    await containers.remove(container.id)
  })
})

describe('stop', () => {
  test('the stop signal of the spec is what the process gets', async () => {
    const container = await sh('trap "echo bye; exit 7" USR1; echo ready; while :; do sleep 0.05; done', {
      stopSignal: 'SIGUSR1',
    })
    await firstLine(container)
    const stopped = await host.runtime.containers.stop(container.id)
    expect(stopped.exit).toEqual({ code: 7, oomKilled: false })
    expect(await linesOf(container)).toContain('bye')
  })

  test('without one in the spec the image’s stop signal counts, also of an image that came after the start', async () => {
    await buildTinyImage(host.runtime, { tag: 'quits:1', lines: ['STOPSIGNAL SIGQUIT'] })
    const container = await sh('trap "exit 8" QUIT; echo ready; while :; do sleep 0.05; done', {
      image: 'quits:1',
    })
    await firstLine(container)
    expect((await host.runtime.containers.stop(container.id)).exit).toMatchObject({ code: 8 })
  })

  test('a process that ignores the stop signal is killed when the timeout is over', async () => {
    const container = await sh('trap "" TERM; echo ready; while :; do sleep 0.05; done', {
      stopTimeoutMs: 300,
    })
    await firstLine(container)
    const before = performance.now()
    const stopped = await host.runtime.containers.stop(container.id)
    expect(stopped.exit).toEqual({ code: 137, signal: 9, oomKilled: false })
    expect(performance.now() - before).toBeGreaterThanOrEqual(300)
  })

  test('children that outlive the main process die with the container', async () => {
    const container = await sh('sleep 98765 & echo ready; exec sleep 1000')
    await firstLine(container)
    const processes = () =>
      processesOf(container.id, `${host.options.cgroupParent}/${container.id.slice(0, 12)}`)
    expect(processes().length).toBeGreaterThanOrEqual(3)
    await host.runtime.containers.stop(container.id, { timeoutMs: 0 })
    await host.runtime.containers.remove(container.id)
    expect(processes()).toEqual([])
  })

  test('a caller who gives up ends its wait; what was not begun is not done', async () => {
    const { containers } = host.runtime
    const container = await sh('trap "" TERM; echo ready; while :; do sleep 0.05; done')
    await firstLine(container)
    const given = new AbortController()
    const stopping = containers.stop(container.id, { timeoutMs: 60_000, signal: given.signal })
    given.abort()
    await expect(stopping).rejects.toMatchObject({ code: 'cancelled' })
    expect(await containers.inspect(container.id)).toMatchObject({ state: 'running', pid: container.pid })
    await containers.remove(container.id, { force: true })
    const never = { name: 'never', image: 'tiny:1' }
    await expect(containers.create(never, given.signal)).rejects.toMatchObject({ code: 'cancelled' })
    await expect(containers.inspect('never')).rejects.toMatchObject({ code: 'container.not_found' })
  })

  test('waiting ends with the caller’s signal, also one that was given already', async () => {
    const container = await run(['sleep', '1000'])
    const given = AbortSignal.abort(new Error('given up'))
    await expect(host.runtime.containers.wait(container.id, given)).rejects.toThrow('given up')
    const later = new AbortController()
    const waiting = host.runtime.containers.wait(container.id, later.signal)
    later.abort(new Error('changed my mind'))
    await expect(waiting).rejects.toThrow('changed my mind')
    await host.runtime.containers.remove(container.id, { force: true })
  })
})

async function firstLine(container: ContainerInfo): Promise<string> {
  for await (const entry of host.runtime.containers.logs(container.id, { follow: true })) return entry.line
  throw new Error('the container ended without a word')
}

describe('logs', () => {
  const LINES = 10_000

  test('ten thousand lines come out whole and in order, streams told apart', async () => {
    const container = await sh(
      `i=0; while [ $i -lt ${LINES} ]; do echo line $i; i=$((i+1)); done; echo late >&2`,
    )
    await host.runtime.containers.wait(container.id)
    const out = await linesOf(container, { stderr: false })
    expect(out).toHaveLength(LINES)
    expect(out.every((line, index) => line === `line ${index}`)).toBe(true)
    expect(await logsOf(container, { stdout: false })).toMatchObject([{ stream: 'stderr', line: 'late' }])
    expect(await linesOf(container, { tail: 3, stderr: false })).toEqual(
      (await linesOf(container)).slice(-3).filter((line) => line !== 'late'),
    )
  })

  test('a follower gets what comes later and ends with the container', async () => {
    const container = await sh('echo one; sleep 0.2; echo two')
    expect(await linesOf(container, { follow: true })).toEqual(['one', 'two'])
  })

  test('a follower ends when its caller gives up', async () => {
    const container = await sh('echo one; exec sleep 1000')
    const stop = new AbortController()
    const lines: string[] = []
    for await (const entry of host.runtime.containers.logs(container.id, {
      follow: true,
      signal: stop.signal,
    })) {
      lines.push(entry.line)
      stop.abort()
    }
    expect(lines).toEqual(['one'])
    await host.runtime.containers.remove(container.id, { force: true })
  })

  test('a line longer than the monitor’s buffer and one without an end come out as written', async () => {
    const container = await sh("printf '%020000d\\n' 7; printf 'no newline'")
    await host.runtime.containers.wait(container.id)
    const entries = await logsOf(container)
    expect(entries.map(({ line, partial }) => [line.length, partial])).toEqual([
      [16_384, true],
      [20_000 - 16_384, undefined],
      [10, true],
    ])
    expect(entries.map(({ line }) => line).join('')).toBe(`${'7'.padStart(20_000, '0')}no newline`)
  })
})

test('events tell of every step of a container’s life, in order', async () => {
  const stop = new AbortController()
  const seen: RuntimeEvent[] = []
  const reading = (async () => {
    for await (const event of host.runtime.events(stop.signal)) {
      if (event.kind === 'container' && event.attributes.name === 'eventful') seen.push(event)
      if (seen.length === 4) return
    }
  })()
  const container = await sh('exit 3', { name: 'eventful' })
  await host.runtime.containers.wait(container.id)
  await host.runtime.containers.remove(container.id)
  await Promise.race([reading, elapse(5_000)])
  stop.abort()
  expect(seen.map((event) => event.action)).toEqual(['create', 'start', 'die', 'destroy'])
  expect(seen[2]).toMatchObject({ attributes: { exitCode: '3' } })
})

describe('limits', () => {
  test('memory over the limit is an OOM kill, told as such', async () => {
    const container = await sh('x=0123456789abcdef; while :; do x=$x$x; done', {
      resources: { memoryBytes: 16 * 1024 * 1024 },
    })
    expect(await host.runtime.containers.wait(container.id)).toMatchObject({ code: 137, oomKilled: true })
  })

  test('processes over the limit are refused', async () => {
    const script = 'i=0; while [ $i -lt 20 ]; do sleep 5 & i=$((i+1)); done; kill -9 -1'
    const container = await sh(script, { resources: { pidsMax: 8 } })
    await host.runtime.containers.wait(container.id)
    expect((await linesOf(container)).join('\n')).toMatch(/fork|Resource temporarily unavailable/)
  })

  test('statistics tell what the container uses and may use', async () => {
    const container = await run(['sleep', '1000'], { resources: { memoryBytes: 64 * 1024 * 1024 } })
    const stats = await host.runtime.containers.stats(container.id)
    expect(stats).toMatchObject({ memoryLimitBytes: 64 * 1024 * 1024 })
    expect(stats.memoryUsageBytes).toBeGreaterThan(0)
    expect(stats.pids).toBeGreaterThanOrEqual(1)
    await host.runtime.containers.remove(container.id, { force: true })
  })
})

describe('hardening as seen from inside (reliability.md §4.2)', () => {
  test('eleven capabilities, none inheritable or ambient, no new privileges, a seccomp filter', async () => {
    const status = (await outputOf('cat /proc/self/status')).join('\n')
    // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT SETFCAP
    const eleven = '00000000800405fb'
    for (const set of ['CapPrm', 'CapEff', 'CapBnd']) expect(status).toContain(`${set}:\t${eleven}`)
    for (const set of ['CapInh', 'CapAmb']) expect(status).toContain(`${set}:\t0000000000000000`)
    expect(status).toContain('NoNewPrivs:\t1')
    expect(status).toContain('Seccomp:\t2')
  })

  test('masked paths are empty and read-only ones cannot be written', async () => {
    const lines = await outputOf(
      [
        'cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | dd bs=1 count=1 2>/dev/null',
        'ls /sys/firmware',
        'echo 1 > /proc/sys/kernel/hostname && echo WROTE',
        'echo b > /proc/sysrq-trigger && echo WROTE',
        'touch /sys/x && echo WROTE',
        'echo end',
      ].join('\n'),
    )
    expect(lines.filter((line) => !/Read-only file system|nonexistent directory/.test(line))).toEqual(['end'])
  })

  test('mounts, new namespaces and device nodes are refused', async () => {
    const lines = await outputOf(
      'mount -t tmpfs x /tmp && echo MOUNTED; unshare -U true && echo UNSHARED; mknod /dev/sda b 8 0 && echo NODE; echo end',
    )
    expect(lines).toContain('end')
    expect(lines.join('\n')).not.toMatch(/MOUNTED|UNSHARED|NODE/)
  })

  test('nothing of the host is in sight: processes, mounts, descriptors, directories', async () => {
    const lines = await outputOf(
      'ps | grep -c .; cat /proc/self/mountinfo; ls -l /proc/1/fd /proc/self/fd 2>/dev/null; ls /',
    )
    const all = lines.join('\n')
    expect(Number(lines[0])).toBeLessThan(8)
    expect(all).not.toContain(`${host.dir}/run/oci`)
    expect(all).not.toContain('meta.db')
    expect(all.split('\n').filter((line) => line.includes(' -> /') && !line.includes('/proc/'))).toEqual(
      all.split('\n').filter((line) => line.includes(' -> /dev/null')),
    )
    expect(lines.slice(lines.indexOf('bin'))).toEqual(['bin', 'dev', 'etc', 'proc', 'sys'])
  })

  test('a read-only root can be written nowhere but in its temporary directories', async () => {
    const lines = await outputOf(
      'touch /x 2>/dev/null && echo ROOT; touch /tmp/x && echo tmp; touch /run/x && echo run',
      {
        readOnlyRootfs: true,
      },
    )
    expect(lines).toEqual(['tmp', 'run'])
  })

  test('open files and core dumps are limited', async () => {
    const lines = await outputOf('ulimit -Sn; ulimit -c')
    expect(lines).toEqual(['1024', '0'])
  })

  test('the small init reaps orphans and passes the exit code on', async () => {
    const container = await sh('(sleep 0.1 &); echo ready; exec sleep 1000')
    await firstLine(container)
    const { containers } = host.runtime
    // The init and the long sleep; an orphan nobody reaped would be a third for ever.
    await until('the orphan is reaped', async () => (await containers.stats(container.id)).pids === 2)
    await containers.remove(container.id, { force: true })
    expect(await containers.wait((await sh('exit 9')).id)).toMatchObject({ code: 9 })
  })

  test('user, working directory, environment and host name are as the spec says', async () => {
    const lines = await outputOf('id -u; id -g; echo $PWD; echo $COLOR; hostname; echo $HOME', {
      user: '1234:56',
      workdir: '/srv/app',
      env: ['COLOR=blue', 'HOME=/h'],
      hostname: 'named',
    })
    expect(lines).toEqual(['1234', '56', '/srv/app', 'blue', 'named', '/h'])
  })
})
