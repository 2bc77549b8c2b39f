import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cgroupHierarchies } from './host/cgroups.exec.js'
import { makeTestHost, type TestHost, until } from './testing/index.js'
import { mountsBelow, processesOf } from './testing/leftovers.js'
import type { SoakFigures } from './testing/soak.child.js'

const CHILD = fileURLToPath(new URL('../dist/testing/soak.child.js', import.meta.url))
/** 10000 for the whole of it; the figures of each tenth are printed then. */
const CYCLES = Number(process.env.BERTH_SOAK_CYCLES ?? 60)
const WARM_UP = Math.max(30, CYCLES / 10)
const PARTS = process.env.BERTH_SOAK_CYCLES ? 10 : 1
const CYCLE_MS_MAX = 3_000

const DESCRIPTORS_MORE = 5
const RSS_MORE = 0.1
/** A process that has just been warmed up grows by so much without holding anything: 10 % count above it only. */
const RSS_FLOOR_KB = 16 * 1024
/** As docs/performance.md has an agent started: the young generation and the arenas of malloc would grow in steps of 16 MB otherwise, empty as they are. */
const NODE = ['--expose-gc', '--max-semi-space-size=4']
const ENV = { PATH: process.env.PATH, MALLOC_ARENA_MAX: '2' }

let host: TestHost
let child: ChildProcess
beforeAll(() => {
  host = makeTestHost()
  const options = { ...host.options, logger: undefined }
  child = spawn(process.execPath, [...NODE, CHILD, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: ENV,
  })
})
afterAll(async () => {
  child.kill('SIGKILL')
  await host.dispose()
})

const bridge = () => host.options.network?.bridge ?? ''
const run = (file: string, args: readonly string[]) => execFileSync(file, args, { encoding: 'utf8' })
const namesBelow = (dir: string) =>
  existsSync(dir) ? (readdirSync(dir, { recursive: true }) as string[]).sort() : []

/** What of all cycles the host would still know. The runtime's own process is in the list of processes, its image among the directories. */
const onHost = () => ({
  mounts: mountsBelow(host.dir),
  processes: processesOf(`${host.dir}/`, host.options.cgroupParent),
  cables: run('ip', ['-o', 'link', 'show', 'master', bridge()]),
  rules: run('nft', ['list', 'table', 'inet', bridge()]),
  cgroups: cgroupHierarchies().flatMap((hierarchy) =>
    readdirSync(`${hierarchy}${host.options.cgroupParent}`, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => `${hierarchy}/${entry.name}`),
  ),
  directories: [host.options.root, host.options.runRoot]
    .flatMap(namesBelow)
    .filter((name) => !name.startsWith('meta.db')),
})

test(
  `${CYCLES} times create, start, exec, remove leave no descriptor, memory, mount, process, cable, rule, cgroup or directory`,
  async () => {
    const answers = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
    const cycles = async (count: number) => {
      child.stdin?.write(`${count}\n`)
      const { value } = await answers.next()
      return JSON.parse(String(value)) as SoakFigures
    }
    const before = await cycles(WARM_UP)
    // The kernel takes the last cables of the warm-up down in its own time; nothing runs now, so there is none to compare with.
    await until('the cables of the warm-up are gone', () => onHost().cables === '')
    const hostBefore = onHost()
    let after = before
    for (let part = 1; part <= PARTS; part++) {
      after = await cycles(CYCLES / PARTS)
      if (PARTS > 1) process.stdout.write(`${(CYCLES / PARTS) * part} cycles: ${JSON.stringify(after)}\n`)
    }
    expect(after.namespaces).toBe(before.namespaces)
    expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + DESCRIPTORS_MORE)
    expect(after.rssKb).toBeLessThanOrEqual(before.rssKb + Math.max(RSS_FLOOR_KB, before.rssKb * RSS_MORE))
    await until('the host is as before', () => same(onHost(), withoutEnded(hostBefore))).catch(() =>
      expect(onHost()).toEqual(withoutEnded(hostBefore)),
    )
  },
  60_000 + (WARM_UP + CYCLES) * CYCLE_MS_MAX,
)

/** An idle worker of the runtime may have gone since, which is no leak. */
const withoutEnded = (before: ReturnType<typeof onHost>) => ({
  ...before,
  processes: before.processes.filter((pid) => existsSync(`/proc/${pid}`)),
})
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)
