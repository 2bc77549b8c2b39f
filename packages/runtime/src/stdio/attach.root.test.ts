import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Attachment, ContainerInfo, ContainerSpec } from '../api.js'
import { gather, readUntil } from '../testing/gather.js'
import { buildTinyImage, openTestRuntime, type TestRuntime } from '../testing/index.js'
import { Console } from './console.exec.js'

let host: TestRuntime
beforeAll(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime)
})
afterAll(() => host?.dispose())

let count = 0
const make = (script: string, rest: Partial<ContainerSpec> = {}): Promise<ContainerInfo> => {
  count += 1
  const command = ['sh', '-c', script]
  return host.runtime.containers.create({
    name: `a${count}`,
    image: 'tiny:1',
    command,
    network: 'none',
    ...rest,
  })
}
const run = async (script: string, rest: Partial<ContainerSpec> = {}): Promise<ContainerInfo> =>
  host.runtime.containers.start((await make(script, rest)).id)
const attach = (container: ContainerInfo): Promise<Attachment> => host.runtime.containers.attach(container.id)
const monitorFds = ({ id }: ContainerInfo): number => {
  const pid = readFileSync(`${host.options.runRoot}/c/${id.slice(0, 12)}/conmon.pid`, 'utf8')
  return readdirSync(`/proc/${pid}/fd`).length
}

describe('output', () => {
  test('of a container that was attached to before its start is complete, stream by stream', async () => {
    const container = await make('echo one; echo two >&2; printf three')
    const attachment = await attach(container)
    await host.runtime.containers.start(container.id)
    expect(await gather(attachment.output)).toEqual({ stdout: 'one\nthree', stderr: 'two\n' })
    expect(await host.runtime.containers.wait(container.id)).toMatchObject({ code: 0 })
  })

  test('is there again for who attaches before the next start', async () => {
    const container = await run('echo hi')
    await host.runtime.containers.wait(container.id)
    const attachment = await attach(container)
    await host.runtime.containers.start(container.id)
    expect(await gather(attachment.output)).toEqual({ stdout: 'hi\n', stderr: '' })
  })

  test('is given to everyone who attached, each with the streams they asked for', async () => {
    const container = await make('cat; echo err >&2', { openStdin: true, stdinOnce: true })
    const { containers } = host.runtime
    const [all, errors] = [
      await attach(container),
      await containers.attach(container.id, { stdin: false, stdout: false }),
    ]
    await containers.start(container.id)
    await all.write(Buffer.from('in'))
    all.endInput()
    expect(await Promise.all([gather(all.output), gather(errors.output)])).toEqual([
      { stdout: 'in', stderr: 'err\n' },
      { stdout: '', stderr: 'err\n' },
    ])
  })

  test('of 20 MB comes whole to a slow reader, who holds neither the container nor a fast one up', async () => {
    const container = await make('dd if=/dev/zero bs=65536 count=320 2>/dev/null; echo end')
    const [fast, slow] = [await attach(container), await attach(container)]
    await host.runtime.containers.start(container.id)
    expect((await gather(fast.output)).stdout.length).toBe(320 * 65_536 + 4)
    await host.runtime.containers.wait(container.id)
    expect((await gather(slow.output)).stdout.length).toBe(320 * 65_536 + 4)
  })

  test('a reader that takes nothing is cut off, and the container and its other readers go on', async () => {
    const container = await run('read x; dd if=/dev/zero bs=65536 count=160 2>/dev/null; echo end', {
      openStdin: true,
    })
    const dir = `${host.options.runRoot}/c/${container.id.slice(0, 12)}`
    const limited = new Console({
      name: 'a test',
      backlogDir: host.dir,
      acceptsInput: true,
      endsInput: false,
      stalledMs: 300,
      backlogLimits: { memoryBytes: 65_536, fileBytes: 1024 * 1024 },
    })
    const [fast, stuck] = [await limited.attach(), await limited.attach()]
    await limited.open(dir)
    await fast.write(Buffer.from('go\n'))
    expect((await gather(fast.output)).stdout.length).toBe(160 * 65_536 + 4)
    expect(await host.runtime.containers.wait(container.id)).toMatchObject({ code: 0 })
    await expect(gather(stuck.output)).rejects.toMatchObject({ code: 'attach.reader_too_slow' })
  })

  test('ends for those attached when the container is removed without having run', async () => {
    const container = await make('true')
    const attachment = await attach(container)
    const output = gather(attachment.output)
    await host.runtime.containers.remove(container.id)
    expect(await output).toEqual({ stdout: '', stderr: '' })
  })
})

describe('input', () => {
  test('of any length arrives whole, and its end is the end of stdin', async () => {
    const container = await make('cat', { openStdin: true, stdinOnce: true })
    const attachment = await attach(container)
    await host.runtime.containers.start(container.id)
    const sent = Buffer.from(Array.from({ length: 300_000 }, (_, index) => 97 + (index % 26)))
    const output = gather(attachment.output)
    await attachment.write(sent)
    attachment.endInput()
    expect((await output).stdout).toBe(sent.toString())
  })

  test('ends when the first who was attached leaves, if it was opened once', async () => {
    const container = await run('cat; echo over', { openStdin: true, stdinOnce: true })
    const attachment = await attach(container)
    attachment.close()
    expect(await host.runtime.containers.wait(container.id)).toMatchObject({ code: 0 })
  })

  test('stays open for the next one otherwise', async () => {
    const container = await run('read a; read b; echo $a $b', { openStdin: true })
    const first = await attach(container)
    await first.write(Buffer.from('one\n'))
    first.endInput()
    first.close()
    const second = await attach(container)
    await second.write(Buffer.from('two\n'))
    expect((await gather(second.output)).stdout).toBe('one two\n')
  })

  test('of a container without stdin is swallowed, and it reads an end', async () => {
    const container = await make('cat; echo over')
    const attachment = await attach(container)
    await attachment.write(Buffer.from('unheard'))
    await host.runtime.containers.start(container.id)
    expect((await gather(attachment.output)).stdout).toBe('over\n')
  })
})

describe('a terminal', () => {
  const TTY = { tty: true, openStdin: true } as const

  test('has one stream, an echo, and the size it was given last', async () => {
    const container = await run('read x; stty size; echo err >&2', TTY)
    const attachment = await attach(container)
    for (const rows of [10, 20, 30]) void host.runtime.containers.resize(container.id, { rows, columns: 90 })
    await host.runtime.containers.resize(container.id, { rows: 40, columns: 100 })
    await attachment.write(Buffer.from('x\n'))
    expect(await gather(attachment.output)).toEqual({ stdout: 'x\r\n40 100\r\nerr\r\n', stderr: '' })
  })

  test('keeps in its log exactly what was written', async () => {
    const container = await run('printf "a\\nb"', { tty: true })
    await host.runtime.containers.wait(container.id)
    const entries = []
    for await (const entry of host.runtime.containers.logs(container.id)) entries.push(entry)
    expect(entries.map(({ line, partial }) => [line, partial])).toEqual([
      ['a\r', undefined],
      ['b', true],
    ])
  })

  test('cannot be resized when it is gone', async () => {
    const container = await make('true', TTY)
    await expect(host.runtime.containers.resize(container.id, { rows: 1, columns: 1 })).rejects.toMatchObject(
      { code: 'container.not_running' },
    )
  })
})

describe('F42: a flood', () => {
  test('of 1,000 attaches leaves no descriptor here or in the monitor', async () => {
    const container = await run('sleep 1000', { openStdin: true })
    const leave = async () => (await attach(container)).close()
    await leave()
    const before = [readdirSync('/proc/self/fd').length, monitorFds(container)]
    for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 50 }, leave))
    const after = [readdirSync('/proc/self/fd').length, monitorFds(container)]
    // The monitor may not have taken the first connection yet when it was looked at.
    expect(after.map((fds, index) => fds - (before[index] ?? 0) <= 1)).toEqual([true, true])
    await host.runtime.containers.remove(container.id, { force: true })
  })

  test('of resizes ends with the last size (CVE-2022-23471)', async () => {
    const container = await run('read x; stty size', { tty: true, openStdin: true })
    const attachment = await attach(container)
    const before = readdirSync('/proc/self/fd').length
    const sizes = Array.from({ length: 10_000 }, (_, index) => ({ rows: 1 + (index % 500), columns: 77 }))
    await Promise.all(sizes.map((size) => host.runtime.containers.resize(container.id, size)))
    // What the start opened may close meanwhile.
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before)
    await attachment.write(Buffer.from('x\n'))
    expect(await readUntil(attachment, '77')).toContain('500 77')
  })
})

test('the agent can go and come back: the container runs on and can be attached to again', async () => {
  const container = await run('while read line; do echo got $line; done', { openStdin: true })
  const first = await attach(container)
  await first.write(Buffer.from('one\n'))
  expect(await readUntil(first, 'one')).toBe('got one\n')
  await host.reopen()
  const second = await attach(container)
  await second.write(Buffer.from('two\n'))
  expect(await readUntil(second, 'two')).toBe('got two\n')
  await host.runtime.containers.remove(container.id, { force: true })
})
