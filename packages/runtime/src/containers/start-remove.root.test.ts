import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ContainerSpec } from '../api.js'
import { cgroupHierarchies } from '../host/cgroups.exec.js'
import { buildTinyImage, openTestRuntime, type TestRuntime, until } from '../testing/index.js'
import { mountsBelow, processesOf } from '../testing/leftovers.js'

let host: TestRuntime
beforeAll(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime)
})
afterAll(() => host?.dispose())

const CYCLES = 200
const IN_FLIGHT = 8
let count = 0
const spec = (change: Partial<ContainerSpec> = {}): ContainerSpec => {
  count += 1
  return { name: `c${count}`, image: 'tiny:1', command: ['true'], ...change }
}

async function cycle(change: Partial<ContainerSpec>, force: boolean): Promise<void> {
  const { containers } = host.runtime
  const { id } = await containers.create(spec(change))
  await containers.start(id)
  if (!force) await containers.wait(id)
  await containers.remove(id, { force })
}

const descriptors = (): number => readdirSync('/proc/self/fd').length
const rules = (): string =>
  execFileSync('nft', ['list', 'table', 'inet', host.options.network?.bridge ?? ''], { encoding: 'utf8' })
const portsOfBridge = (): readonly string[] =>
  execFileSync('ip', ['-o', 'link', 'show', 'master', host.options.network?.bridge ?? ''], {
    encoding: 'utf8',
  })
    .split('\n')
    .filter(Boolean)
const states = (): readonly string[] =>
  readdirSync(`${host.options.runRoot}/oci`).filter((name) => !name.startsWith('.'))
const cgroups = (): readonly string[] =>
  cgroupHierarchies().flatMap((hierarchy) =>
    readdirSync(`${hierarchy}${host.options.cgroupParent}`, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name),
  )

test(`after ${CYCLES} starts and removals nothing is left: no cable, rule, mount, cgroup, process, directory or descriptor`, async () => {
  const namespace = readlinkSync('/proc/self/ns/net')
  await cycle({}, false)
  const before = { fds: descriptors(), rules: rules() }
  const ports = [{ protocol: 'tcp', containerPort: 80, hostPort: 0 }] as const
  const works = Array.from(
    { length: CYCLES },
    (_, index) => () =>
      cycle(
        {
          ...(index % 4 === 0 ? { ports } : {}),
          ...(index % 5 === 0 ? { network: 'none' as const } : {}),
          command: index % 2 ? ['sleep', '1000'] : ['true'],
        },
        index % 2 === 1,
      ),
  )
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      for (let work = works.pop(); work; work = works.pop()) await work()
    }),
  )
  await until('cables are gone', async () => portsOfBridge().length === 0)
  expect(rules()).toBe(before.rules)
  expect(mountsBelow(host.dir)).toEqual([])
  expect(cgroups()).toEqual([])
  expect(states()).toEqual([])
  expect(readdirSync(`${host.options.runRoot}/c`)).toEqual([])
  expect(readdirSync(`${host.options.root}/s`)).toEqual([])
  await until(
    'monitors have ended',
    async () => processesOf(`${host.dir}/`, host.options.cgroupParent).length === 0,
  )
  await until('descriptors are closed', async () => descriptors() <= before.fds)
  expect(readlinkSync('/proc/self/ns/net')).toBe(namespace)
}, 120_000)

test('starting and removing containers keeps the event loop free', async () => {
  const cycles = async () => {
    for (let i = 0; i < 10; i++) await cycle({}, false)
  }
  await cycles()
  // The machine's own hiccups are not ours: the median of ten rounds' longest pauses counts.
  const longest: number[] = []
  for (let round = 0; round < 10; round++) {
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    await cycle({}, false)
    delay.disable()
    longest.push(delay.max / 1e6)
  }
  expect(longest.sort((a, b) => a - b)[5]).toBeLessThan(20)
}, 60_000)

test('the second container of a kind gets the filter that was compiled for the first, and is as confined', async () => {
  const { containers } = await host.reopen()
  const filterOf = async () => {
    const { id, pid } = await containers
      .create(spec({ command: ['sleep', '1000'] }))
      .then(({ id }) => containers.start(id))
    const config = readFileSync(`${host.options.runRoot}/c/${id.slice(0, 12)}/config.json`, 'utf8')
    const filter = readFileSync(`${host.options.runRoot}/oci/${id}/seccomp.bpf`, 'hex')
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    await containers.remove(id, { force: true })
    return {
      filter,
      isHanded: config.includes('seccomp_bpf_data'),
      mode: /^Seccomp:\s*(\d)$/m.exec(status)?.[1],
    }
  }
  const first = await filterOf()
  const second = await filterOf()
  expect(first).toMatchObject({ isHanded: false, mode: '2' })
  expect(second).toEqual({ ...first, isHanded: true })
})
