import { readdirSync, statSync } from 'node:fs'
import { setTimeout as elapse } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ContainerInfo, ContainerSpec, LogOptions, Runtime } from '../api.js'
import { MNT_DETACH, mount, umount } from '../host/libc.js'
import { openRuntime } from '../runtime.js'
import {
  buildTinyImage,
  makeTestHost,
  openTestRuntime,
  spawnRuntime,
  type TestRuntime,
  until,
} from '../testing/index.js'

let host: TestRuntime
beforeAll(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime)
})
afterAll(() => host?.dispose())

let count = 0
const run = async (
  script: string,
  rest: Partial<ContainerSpec> = {},
  { containers }: Runtime = host.runtime,
) => {
  count += 1
  const command = ['sh', '-c', script]
  const spec = { name: `l${count}`, image: 'tiny:1', command, network: 'none', init: false, ...rest } as const
  return containers.start((await containers.create(spec)).id)
}
async function linesOf(
  { id }: ContainerInfo,
  options: LogOptions = {},
  { containers }: Runtime = host.runtime,
) {
  const lines: string[] = []
  for await (const { line } of containers.logs(id, options)) lines.push(line)
  return lines
}
const logBytes = (root: string, { id }: ContainerInfo): number =>
  readdirSync(`${root}/containers/${id}`)
    .filter((name) => /^log\.\d+$/.test(name))
    .reduce((sum, name) => sum + statSync(`${root}/containers/${id}/${name}`).size, 0)

/** Counts in bursts of 200 lines: a log may be rotated twice before anyone looks, which must leave time for a loaded machine. */
const PACED = 'i=$((i+1)); echo $i; [ $((i % 200)) = 0 ] && sleep 0.02'
const COUNTING = `while :; do ${PACED}; done`
/** Where the numbers have a hole, or undefined. */
const holeIn = (lines: readonly string[]): string | undefined =>
  lines.find((line, index) => index > 0 && Number(line) !== Number(lines[index - 1]) + 1)

describe('a log', () => {
  test('is followed to the last line and then ends with the container', async () => {
    const container = await run('for i in 1 2 3; do echo $i; sleep 0.1; done')
    expect(await linesOf(container, { follow: true })).toEqual(['1', '2', '3'])
  })

  test('that is not kept cannot be read, and the container runs all the same', async () => {
    const container = await run('echo unheard; exit 3', { log: { driver: 'none' } })
    expect(await host.runtime.containers.wait(container.id)).toMatchObject({ code: 3 })
    await expect(linesOf(container)).rejects.toMatchObject({
      code: 'logs.not_kept',
      message: 'configured logging driver does not support reading',
    })
  })

  test('keeps bytes that are no text', async () => {
    const container = await run('printf "\\377\\000\\303x\\n"')
    await host.runtime.containers.wait(container.id)
    for await (const entry of host.runtime.containers.logs(container.id))
      expect([...entry.bytes]).toEqual([0xff, 0, 0xc3, 0x78])
  })

  test('is rotated without loss while it is followed, and stays within its bound', async () => {
    const log = { maxBytes: 128 * 1024, filesMax: 4 }
    const container = await run(`while [ "$i" != 20000 ]; do ${PACED}; done`, { log })
    const lines = await linesOf(container, { follow: true })
    expect([lines.length, lines[0], holeIn(lines)]).toEqual([20_000, '1', undefined])
    expect(logBytes(host.options.root, container)).toBeLessThanOrEqual(log.maxBytes * log.filesMax)
    const tail = await linesOf(container, { tail: 5_000 })
    expect([tail.length, tail.at(-1), holeIn(tail)]).toEqual([5_000, '20000', undefined])
  })
})

test('F39: four containers that write without end starve neither another one nor the agent, and keep to their bounds', async () => {
  const log = { maxBytes: 1024 * 1024, filesMax: 3 }
  const floods = await Promise.all(
    Array.from({ length: 4 }, () => run('exec yes yyyyyyyyyyyyyyyyyyyyyyyy', { log })),
  )
  const stop = new AbortController()
  const following = linesOf(floods[0] as ContainerInfo, { follow: true, tail: 0, signal: stop.signal })
  const before = process.memoryUsage().rss
  const counter = await run('i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo $i; sleep 0.02; done')
  const times: number[] = []
  while ((await host.runtime.containers.inspect(counter.id)).state === 'running') {
    const asked = performance.now()
    await host.runtime.containers.list()
    await elapse(5)
    times.push(performance.now() - asked)
  }
  stop.abort()
  const followed = (await following).length
  expect(await linesOf(counter)).toHaveLength(50)
  expect(followed).toBeGreaterThan(0)
  times.sort((a, b) => a - b)
  expect(times[Math.floor(times.length * 0.99)]).toBeLessThan(200)
  expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 * 1024)
  await Promise.all(floods.map(({ id }) => host.runtime.containers.stop(id, { timeoutMs: 0 })))
  for (const flood of floods) {
    expect(logBytes(host.options.root, flood)).toBeLessThanOrEqual(log.maxBytes * log.filesMax)
    await host.runtime.containers.remove(flood.id)
  }
}, 120_000)

test('F16: a full disk under the log ends neither the container nor the agent', async () => {
  const { containers } = host.runtime
  const script = 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line number $i; done; exit 5'
  const { id } = await containers.create({
    name: 'full',
    image: 'tiny:1',
    command: ['sh', '-c', script],
    network: 'none',
  })
  const dir = `${host.options.root}/containers/${id}`
  mount('tmpfs', dir, 'tmpfs', 0, 'size=128k')
  try {
    await containers.start(id)
    expect(await containers.wait(id)).toMatchObject({ code: 5 })
    const lines = await linesOf(await containers.inspect(id))
    expect(lines[0]).toBe('line number 1')
  } finally {
    await until('its run is cleared away', async () => (await containers.inspect(id)).state === 'exited')
    umount(dir, MNT_DETACH)
  }
  await containers.start(id)
  expect(await containers.wait(id)).toMatchObject({ code: 5 })
  expect((await linesOf(await containers.inspect(id))).at(-1)).toBe('line number 20000')
})

/** Ends by itself with code 7 after some of the kills. */
const ENDING = `i=0; while [ $i -lt 3000 ]; do ${PACED}; done; exit 7`

test('containers whose agent is killed at random moments run on, miss no line and end with their own code (LOG_CONTAINERS, LOG_KILLS, LOG_BYTES)', async () => {
  const containersMax = Number(process.env.LOG_CONTAINERS ?? 10)
  const kills = Number(process.env.LOG_KILLS ?? 6)
  const other = makeTestHost()
  let runtime = await openRuntime(other.options)
  try {
    await buildTinyImage(runtime)
    // Two rotations' worth must last until the next agent is there, on a loaded machine too.
    const log = { maxBytes: Number(process.env.LOG_BYTES ?? 512 * 1024), filesMax: 1_000 }
    const [counters, ending]: [ContainerInfo[], ContainerInfo[]] = [[], []]
    for (let index = 0; index < containersMax; index++) {
      const isEnding = index % 5 === 4
      const container = await run(isEnding ? ENDING : COUNTING, { log }, runtime)
      ;(isEnding ? ending : counters).push(container)
    }
    await runtime.close()
    for (let kill = 0; kill < kills; kill++) {
      const child = spawnRuntime({ options: other.options, calls: [['containers', 'list']], hold: true })
      if (kill % 2) await child.answers
      await elapse(Math.random() * 400)
      await child.kill()
    }
    runtime = await openRuntime(other.options)
    const { containers } = runtime
    for (const { id, pid } of counters)
      expect(await containers.inspect(id)).toMatchObject({ state: 'running', pid, restartCount: 0 })
    for (const one of ending) {
      expect(await containers.wait(one.id)).toMatchObject({ code: 7 })
      expect((await containers.inspect(one.id)).restartCount).toBe(0)
      const lines = await linesOf(one, {}, runtime)
      expect([lines.length, lines.at(-1), holeIn(lines)]).toEqual([3_000, '3000', undefined])
    }
    await Promise.all(counters.map(({ id }) => containers.stop(id, { timeoutMs: 0 })))
    for (const counter of counters) {
      const lines = await linesOf(counter, {}, runtime)
      expect([lines[0], holeIn(lines)]).toEqual(['1', undefined])
    }
  } finally {
    await runtime.close()
    await other.dispose()
  }
}, 600_000)
