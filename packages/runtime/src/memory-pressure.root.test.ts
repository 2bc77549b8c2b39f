import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cgroupFile, cgroupVersion } from './host/cgroups.exec.js'
import { buildTinyImage, openTestRuntime, spawnRuntime, type TestRuntime, until } from './testing/index.js'

const MEMORY_MAX_BYTES = 256 * 1024 * 1024
const CONTAINERS = 200

let host: TestRuntime
let cgroup: string
beforeAll(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime)
  await host.runtime.close()
  cgroup = `${host.options.cgroupParent}-engine`
  mkdirSync(cgroupFile('memory', cgroup, '.'), { recursive: true })
})
afterAll(async () => {
  await host.dispose()
  await until('the cgroup is empty', () => {
    try {
      rmdirSync(cgroupFile('memory', cgroup, '.'))
      return true
    } catch {
      return false
    }
  })
})

const file = (v2: string, v1: string): string =>
  cgroupFile('memory', cgroup, cgroupVersion() === 'v2' ? v2 : v1)
const oomKills = (): number =>
  Number(/^oom_kill (\d+)$/m.exec(readFileSync(file('memory.events', 'memory.oom_control'), 'utf8'))?.[1])

test(`F20: an engine with ${CONTAINERS} containers and their monitors lives in 256 MiB of memory`, async () => {
  writeFileSync(file('memory.max', 'memory.limit_in_bytes'), String(MEMORY_MAX_BYTES))
  const names = Array.from({ length: CONTAINERS }, (_, index) => `c${index}`)
  const spec = { image: 'tiny:1', command: ['sleep', '1000'], init: false }
  const child = spawnRuntime({
    options: host.options,
    calls: [
      ...names.map((name) => ['containers', 'run', { ...spec, name }] as const),
      ['containers', 'list'],
    ],
    hold: true,
  })
  writeFileSync(file('cgroup.procs', 'cgroup.procs'), String(child.pid))
  const answers = await child.answers
  expect(answers.filter(({ code }) => code !== undefined)).toEqual([])
  const containers = (answers.at(-1)?.result ?? []) as readonly { state: string }[]
  const states = containers.map(({ state }) => state)
  expect(states).toEqual(names.map(() => 'running'))
  expect(oomKills()).toBe(0)
  expect(await child.kill()).toMatchObject({ signal: 'SIGKILL' })
}, 120_000)
