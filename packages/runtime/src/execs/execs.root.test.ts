import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ContainerInfo, ContainerSpec, ExecSpec, RuntimeEvent } from '../api.js'
import { openRuntime } from '../runtime.js'
import { gather, readUntil } from '../testing/gather.js'
import {
  buildTinyImage,
  makeTestHost,
  openTestRuntime,
  spawnRuntime,
  type TestRuntime,
  until,
} from '../testing/index.js'
import { processesOf } from '../testing/leftovers.js'
import type { ContainerExecs } from './container-execs.exec.js'
import { probe } from './probe.exec.js'

let host: TestRuntime
let container: ContainerInfo
beforeAll(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime, {
    lines: ['COPY etc/ /etc/', 'COPY over/ /', 'ENV FROM=image', 'WORKDIR /work', 'CMD ["sleep", "1000"]'],
    files: {
      'etc/passwd': 'root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n',
      'etc/group': 'root:x:0:\nada:x:1000:\nmath:x:2000:ada\n',
      'over/text': 'no program',
    },
    links: { 'over/sneaky': '/proc/self/fd', 'over/inside': '/work' },
  })
  container = await run('main', { env: ['OWN=container'] })
})
afterAll(() => host?.dispose())

const run = async (name: string, rest: Partial<ContainerSpec> = {}): Promise<ContainerInfo> => {
  const { containers } = host.runtime
  const { id } = await containers.create({ name, image: 'tiny:1', network: 'none', ...rest })
  return containers.start(id)
}
const sh = (script: string, rest: Partial<ExecSpec> = {}): ExecSpec => ({
  argv: ['sh', '-c', script],
  ...rest,
})

/** Runs it to its end. */
async function exec(spec: ExecSpec, { id }: ContainerInfo = container) {
  const { execs } = host.runtime.containers
  const { id: execId } = await execs.create(id, spec)
  const attachment = await execs.start(execId)
  const output = await gather(attachment?.output)
  const { exitCode, running, pid } = await execs.inspect(execId)
  expect([running, pid]).toEqual([false, undefined])
  return { ...output, exitCode }
}
const outputOf = async (script: string, rest: Partial<ExecSpec> = {}): Promise<string> =>
  (await exec(sh(script, rest))).stdout.trim()

describe('a program in a container', () => {
  test('gives both streams and its exit code, which is known when the output has ended', async () => {
    expect(await exec(sh('echo out; echo err >&2; exit 7'))).toEqual({
      stdout: 'out\n',
      stderr: 'err\n',
      exitCode: 7,
    })
  })

  test('reads what is written to it, to the end', async () => {
    const { execs } = host.runtime.containers
    const { id } = await execs.create(container.id, { argv: ['cat'], stdin: true })
    const attachment = await execs.start(id)
    const output = gather(attachment?.output)
    const sent = 'x'.repeat(200_000)
    await attachment?.write(Buffer.from(sent))
    attachment?.endInput()
    expect((await output).stdout).toBe(sent)
    expect(await execs.wait(id)).toBe(0)
  })

  test('reads an end at once where no stdin was asked for', async () => {
    expect(await exec(sh('cat; echo over'))).toMatchObject({ stdout: 'over\n' })
  })

  test('has a terminal of the size it was given, which can change', async () => {
    const { execs } = host.runtime.containers
    const spec = sh('stty size; read x; stty size; echo $TERM', { tty: true, stdin: true })
    const { id } = await execs.create(container.id, spec)
    const attachment = await execs.start(id, { size: { rows: 33, columns: 99 } })
    if (!attachment) throw new Error('not attached')
    expect(await readUntil(attachment, '99')).toContain('33 99')
    await execs.resize(id, { rows: 44, columns: 111 })
    await attachment.write(Buffer.from('\n'))
    expect((await readUntil(attachment, 'xterm')).replaceAll('\r', '')).toContain('44 111\nxterm')
    expect(await execs.wait(id)).toBe(0)
  })

  test('is killed by a signal with its number over 128', async () => {
    expect(await exec(sh('kill -9 $$'))).toMatchObject({ exitCode: 137 })
  })

  test('that is started twice, unknown or in no running container is refused', async () => {
    const { containers } = host.runtime
    const { execs } = containers
    const { id } = await execs.create(container.id, { argv: ['true'] })
    await execs.start(id, { detach: true })
    await expect(execs.start(id)).rejects.toMatchObject({ code: 'exec.started' })
    await expect(execs.start('none')).rejects.toMatchObject({ code: 'exec.not_found' })
    await expect(execs.inspect('none')).rejects.toMatchObject({ code: 'exec.not_found' })
    const stopped = await containers.create({ name: 'stopped', image: 'tiny:1', network: 'none' })
    await expect(execs.create(stopped.id, { argv: ['true'] })).rejects.toMatchObject({
      code: 'container.not_running',
    })
  })

  test.each([
    ['nope', 127, 'exec: "nope": executable file not found in $PATH'],
    ['/nope', 127, 'exec: "/nope": stat /nope: no such file or directory'],
    ['/text', 126, 'exec: "/text": permission denied'],
  ])(
    'that cannot be started (%s) is told as docker tells it, with exit code %i',
    async (program, exitCode, text) => {
      const { execs } = host.runtime.containers
      for (const detach of [false, true]) {
        const { id } = await execs.create(container.id, { argv: [program] })
        await expect(execs.start(id, { detach })).rejects.toMatchObject({
          code: 'exec.start_failed',
          params: { exitCode },
          message: expect.stringContaining(text),
        })
        expect(await execs.inspect(id)).toMatchObject({ running: false, exitCode })
      }
    },
  )

  test('is told of: its creation with the command, its start, its end with the exit code', async () => {
    const stop = new AbortController()
    const events: RuntimeEvent[] = []
    const reading = (async () => {
      for await (const event of host.runtime.events({ signal: stop.signal })) {
        events.push(event)
        if (event.action === 'exec_die') stop.abort()
      }
    })()
    await exec(sh('exit 3'))
    await reading
    expect(events.map(({ action, attributes }) => [action, attributes.cmd, attributes.exitCode])).toEqual([
      ['exec_create', 'sh -c exit 3', undefined],
      ['exec_start', 'sh -c exit 3', undefined],
      ['exec_die', undefined, '3'],
    ])
    expect(new Set(events.map(({ attributes }) => attributes.execID)).size).toBe(1)
  })
})

describe('E9: a program in a container', () => {
  test('has the container’s environment and its own, and nothing of the agent’s', async () => {
    process.env.BERTH_TEST_SECRET = 'secret'
    const lines = (await outputOf('env', { env: ['MORE=exec', 'OWN=exec'] })).split('\n').sort()
    expect(lines.filter((line) => !/^(PATH|HOSTNAME|PWD|SHLVL)=/.test(line))).toEqual([
      'FROM=image',
      'HOME=/root',
      'MORE=exec',
      'OWN=exec',
    ])
  })

  test('has the user it was given, by the container’s files, with the groups and the home of that user', async () => {
    expect(await outputOf('id -u; id -g; id -G; echo $HOME', { user: 'ada' })).toBe(
      '1000\n1000\n1000 2000\n/home/ada',
    )
    expect(await outputOf('id -u; id -g', { user: '12:34' })).toBe('12\n34')
    for (const user of ['4294967296', '-1', 'nobody-has-this', '1:2:3']) {
      const { execs } = host.runtime.containers
      const { id } = await execs.create(container.id, sh('id', { user }))
      await expect(execs.start(id)).rejects.toMatchObject({ code: 'container.user_invalid' })
    }
  })

  test('begins where it was told, also through a link, and never in /proc (CVE-2024-21626)', async () => {
    expect(await outputOf('pwd')).toBe('/work')
    expect(await outputOf('pwd', { workdir: '/bin' })).toBe('/bin')
    expect(await outputOf('pwd', { workdir: '/inside' })).toBe('/work')
    const { execs } = host.runtime.containers
    for (const workdir of ['/proc/self/fd/7', '/sneaky/7', '/bin/../proc/1/cwd']) {
      const { id } = await execs.create(container.id, sh('pwd', { workdir }))
      await expect(execs.start(id)).rejects.toMatchObject({ code: 'container.path_refused' })
    }
    await expect(execs.create(container.id, sh('pwd', { workdir: 'work' }))).rejects.toMatchObject({
      code: 'exec.spec_invalid',
    })
  })

  test('has no inheritable or ambient capability, privileged or not (CVE-2022-24769, CVE-2022-27650)', async () => {
    const capabilities = async (rest: Partial<ExecSpec>) =>
      Object.fromEntries(
        (await outputOf('grep Cap /proc/self/status', rest)).split('\n').map((line) => line.split(':\t')),
      ) as Record<string, string>
    const plain = await capabilities({})
    const privileged = await capabilities({ privileged: true })
    for (const set of [plain, privileged])
      expect([set.CapInh, set.CapAmb]).toEqual(Array(2).fill('0'.repeat(16)))
    expect(BigInt(`0x${privileged.CapEff}`)).toBeGreaterThan(BigInt(`0x${plain.CapEff}`))
    expect(await capabilities({ user: 'ada' })).toMatchObject({ CapEff: '0'.repeat(16) })
  })

  test('has no descriptor but its streams', async () => {
    expect(
      (await outputOf('ls -l /proc/self/fd')).split('\n').filter((line) => line.includes('->')),
    ).toHaveLength(3)
  })
})

describe('F42: a flood of programs', () => {
  test('at most 128 run at once in one container, and the next one is told to wait', async () => {
    const crowded = await run('crowded')
    const { execs } = host.runtime.containers
    const start = async () => {
      const { id } = await execs.create(crowded.id, { argv: ['sleep', '1000'] })
      await execs.start(id, { detach: true })
      return id
    }
    for (let round = 0; round < 16; round++) await Promise.all(Array.from({ length: 8 }, start))
    await expect(start()).rejects.toMatchObject({ code: 'exec.too_many', kind: 'resource_exhausted' })
    expect((await host.runtime.containers.inspect(crowded.id)).execIds.length).toBeGreaterThanOrEqual(128)
    expect(await exec(sh('exit 0'))).toMatchObject({ exitCode: 0 })
    await host.runtime.containers.remove(crowded.id, { force: true })
    await until('their monitors have ended', () => processesOf(crowded.id, '/none').length === 0)
  })

  test('leaves no descriptor, process or directory behind (EXECS=10000 for the whole of it)', async () => {
    const rounds = Number(process.env.EXECS ?? 300)
    const directories = () => readdirSync(`${host.options.runRoot}/x`).length
    const fds = () => readdirSync('/proc/self/fd').length
    const flooded = await run('flooded')
    await exec({ argv: ['true'] }, flooded)
    const before = [fds(), directories()]
    for (let done = 0; done < rounds; done += 20)
      await Promise.all(Array.from({ length: 20 }, () => exec({ argv: ['true'] }, flooded)))
    await until('all is as before', () => fds() <= (before[0] ?? 0) && directories() === before[1])
    expect(processesOf(`${host.options.runRoot}/x/`, '/none')).toEqual([])
  }, 600_000)

  test('is quick: half of them take no more than 20 ms (QUICK_MS) when nobody else is at work', async () => {
    const times: number[] = []
    for (let round = 0; round < 40; round++) {
      const before = performance.now()
      await exec({ argv: ['true'] })
      times.push(performance.now() - before)
    }
    times.sort((a, b) => a - b)
    if (process.env.QUICK_MS) console.log('exec p50', times[20], 'p95', times[38])
    expect(times[20]).toBeLessThan(Number(process.env.QUICK_MS ?? 100))
  })
})

test('a detached program goes on when the agent is killed, and the next agent tells its exit code', async () => {
  const other = makeTestHost()
  let runtime = await openRuntime(other.options)
  try {
    await buildTinyImage(runtime)
    const { id } = await runtime.containers.create({ name: 'survivor', image: 'tiny:1', network: 'none' })
    await runtime.containers.start(id)
    await runtime.close()
    const detached = (script: string) => ['containers', 'execDetached', id, sh(script)] as const
    const calls = [detached('sleep 0.5; exit 7'), detached('exit 8')]
    const child = spawnRuntime({ options: other.options, calls, hold: true })
    const ids = (await child.answers).map(({ result }) => String(result))
    await child.kill()
    runtime = await openRuntime(other.options)
    const { execs } = runtime.containers
    expect(await execs.inspect(ids[0] ?? '')).toMatchObject({ running: true })
    expect(await Promise.all(ids.map((execId) => execs.wait(execId)))).toEqual([7, 8])
    expect(await execs.inspect(ids[0] ?? '')).toMatchObject({ running: false, exitCode: 7 })
  } finally {
    await runtime.close()
    await other.dispose()
  }
})

describe('a probe', () => {
  const probing = (script: string, timeoutMs = 5_000) =>
    probe(executor, container.id, { argv: ['sh', '-c', script], timeoutMs, outputMaxBytes: 8 })

  let executor: ContainerExecs
  beforeAll(() => {
    executor = host.runtime.containers.execs as ContainerExecs
  })

  test('gives the exit code and the beginning of the output of both streams', async () => {
    expect(await probing('echo abc; echo defghij >&2; exit 3')).toEqual({ exitCode: 3, output: 'abc\ndefg' })
  })

  test('that takes too long is killed with all it started, and its exit code is -1', async () => {
    const before = performance.now()
    expect(await probing('echo a; sleep 998 & sleep 999', 200)).toMatchObject({ exitCode: -1 })
    expect(performance.now() - before).toBeLessThan(2_000)
    await until('nothing runs on', async () => !(await outputOf('ps')).includes('sleep 99'))
  })

  test('leaves no trace: no event, no id', async () => {
    await probing('true')
    expect((await host.runtime.containers.inspect(container.id)).execIds).toEqual([])
    expect(processesOf(`${host.options.runRoot}/x/`, '/none')).toEqual([])
  })
})
