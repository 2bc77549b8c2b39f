import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ContainerInfo, ContainerResources, ContainerSpec } from '../api.js'
import { cgroupFile, cgroupVersion } from '../host/cgroups.exec.js'
import { gather } from '../testing/gather.js'
import { buildTinyImage, openTestRuntime, type TestRuntime, until } from '../testing/index.js'
import { applyLimits } from './limits.exec.js'
import { shortId } from './paths.js'

const MIB = 1024 * 1024
const isV1 = cgroupVersion() !== 'v2'

let host: TestRuntime
beforeAll(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime)
})
afterAll(() => host?.dispose())

let count = 0
const create = (resources: ContainerResources, rest: Partial<ContainerSpec> = {}): Promise<ContainerInfo> => {
  count += 1
  return host.runtime.containers.create({
    name: `l${count}`,
    image: 'tiny:1',
    network: 'none',
    resources,
    ...rest,
  })
}
const run = async (resources: ContainerResources, rest: Partial<ContainerSpec> = {}) =>
  host.runtime.containers.start((await create(resources, rest)).id)
const cgroupOf = ({ id }: ContainerInfo) => `${host.options.cgroupParent}/${shortId(id)}`
const read = (container: ContainerInfo, controller: string, file: string): string =>
  readFileSync(cgroupFile(controller, cgroupOf(container), file), 'utf8').trim()

describe.runIf(isV1)('limits on cgroup v1', () => {
  test('each of them is in the kernel’s own file', async () => {
    const container = await run({
      memoryBytes: 64 * MIB,
      memoryReservationBytes: 32 * MIB,
      memorySwapBytes: 128 * MIB,
      memorySwappiness: 10,
      oomKillDisable: true,
      cpuNanos: 0.5e9,
      cpuShares: 512,
      cpusetCpus: '0',
      cpusetMems: '0',
      pidsMax: 77,
      blkioThrottles: [{ kind: 'read-bps', path: rootDevice(), rate: MIB }],
    })
    const file = (controller: string, name: string) => read(container, controller, name)
    expect(file('memory', 'memory.limit_in_bytes')).toBe(String(64 * MIB))
    expect(file('memory', 'memory.soft_limit_in_bytes')).toBe(String(32 * MIB))
    expect(file('memory', 'memory.memsw.limit_in_bytes')).toBe(String(128 * MIB))
    expect(file('memory', 'memory.swappiness')).toBe('10')
    expect(file('memory', 'memory.oom_control')).toMatch(/oom_kill_disable 1/)
    expect(file('cpu', 'cpu.cfs_quota_us')).toBe('50000')
    expect(file('cpu', 'cpu.shares')).toBe('512')
    expect(file('cpuset', 'cpuset.cpus')).toBe('0')
    expect(file('pids', 'pids.max')).toBe('77')
    expect(file('blkio', 'blkio.throttle.read_bps_device')).toMatch(new RegExp(` ${MIB}$`))
  })

  test('no limit is no limit, and 2,048 processes where nothing is said', async () => {
    expect(read(await run({ pidsMax: -1 }), 'pids', 'pids.max')).toBe('max')
    const container = await run({})
    expect(read(container, 'pids', 'pids.max')).toBe('2048')
    expect(Number(read(container, 'memory', 'memory.limit_in_bytes'))).toBeGreaterThan(2 ** 60)
  })

  test('live: memory goes up and down with its swap, and away', async () => {
    const container = await run({ memoryBytes: 64 * MIB })
    const sizes = () =>
      ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes'].map((file) =>
        Number(read(container, 'memory', file)),
      )
    for (const memoryBytes of [128 * MIB, 32 * MIB, 256 * MIB]) {
      applyLimits(cgroupOf(container), { memoryBytes })
      expect(sizes()).toEqual([memoryBytes, memoryBytes])
    }
    applyLimits(cgroupOf(container), { memoryBytes: 64 * MIB, memorySwapBytes: 96 * MIB })
    expect(sizes()).toEqual([64 * MIB, 96 * MIB])
    applyLimits(cgroupOf(container), { memoryBytes: 16 * MIB, memorySwapBytes: -1 })
    expect(sizes()[0]).toBe(16 * MIB)
    applyLimits(cgroupOf(container), { memoryBytes: 0 })
    for (const size of sizes()) expect(size).toBeGreaterThan(2 ** 60)
  })

  test('live: processors, processes, sets and rates change at once; what is absent stays', async () => {
    const container = await run({ cpuNanos: 0.5e9, pidsMax: 50 })
    const path = cgroupOf(container)
    applyLimits(path, { cpuNanos: 1.5e9, cpusetCpus: '0' })
    expect(read(container, 'cpu', 'cpu.cfs_quota_us')).toBe('150000')
    expect(read(container, 'cpuset', 'cpuset.cpus')).toBe('0')
    expect(read(container, 'pids', 'pids.max')).toBe('50')
    applyLimits(path, { cpuNanos: 0, cpuQuotaUs: 20_000, cpuPeriodUs: 50_000, pidsMax: 0, cpuShares: 2_000 })
    expect(read(container, 'cpu', 'cpu.cfs_quota_us')).toBe('20000')
    expect(read(container, 'cpu', 'cpu.cfs_period_us')).toBe('50000')
    expect(read(container, 'cpu', 'cpu.shares')).toBe('2000')
    expect(read(container, 'pids', 'pids.max')).toBe('max')
    const throttle = { kind: 'write-iops', path: rootDevice(), rate: 100 } as const
    applyLimits(path, { blkioThrottles: [throttle] })
    expect(read(container, 'blkio', 'blkio.throttle.write_iops_device')).toMatch(/ 100$/)
    applyLimits(path, { blkioThrottles: [{ ...throttle, rate: 0 }] })
    expect(read(container, 'blkio', 'blkio.throttle.write_iops_device')).toBe('')
  })

  test('live: one that the kernel refuses is told by its file, and what went before it is taken back', async () => {
    const container = await run({ cpuNanos: 0.5e9, memoryBytes: 64 * MIB })
    const change = { memoryBytes: 128 * MIB, cpuNanos: 1e9, cpusetCpus: '999' }
    expect(() => applyLimits(cgroupOf(container), change)).toThrow(
      expect.objectContaining({
        code: 'container.limit_refused',
        message: expect.stringMatching(/cpuset\.cpus/),
      }),
    )
    expect(read(container, 'cpu', 'cpu.cfs_quota_us')).toBe('50000')
    expect(read(container, 'memory', 'memory.limit_in_bytes')).toBe(String(64 * MIB))
  })
})

const rootDevice = (): string => {
  const device = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find(([source, target]) => target === '/' && source?.startsWith('/dev/'))?.[0]
  return device ?? '/dev/vda'
}

test('F19: an allocation over the limit is an OOM kill with exit code 137, though the main process is not the victim’s parent', async () => {
  const { containers } = host.runtime
  const command = ['sh', '-c', 'dd if=/dev/zero of=/dev/null bs=64M count=1']
  for (const init of [true, false]) {
    const { id } = await run({ memoryBytes: 32 * MIB }, { command, init })
    expect(await containers.wait(id)).toMatchObject({ code: 137, oomKilled: true })
  }
})

test('F19: neither a container nor an exec in it inherits what protects the engine from the kernel’s choice', async () => {
  const { containers } = host.runtime
  const own = '/proc/self/oom_score_adj'
  const before = readFileSync(own, 'utf8')
  // Raised and not lowered: that needs no capability, and shows as well who inherits.
  writeFileSync(own, '100')
  try {
    const container = await run({}, { command: ['sleep', '1000'] })
    const scoreOf = (pid: unknown) => readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim()
    expect(scoreOf(container.pid)).toBe('0')
    const exec = await containers.execs.create(container.id, { argv: ['cat', '/proc/self/oom_score_adj'] })
    const attachment = await containers.execs.start(exec.id)
    expect((await gather(attachment?.output)).stdout).toBe('0\n')
  } finally {
    writeFileSync(own, before)
  }
})

test('limits that make no sense or that this host cannot keep are refused at create, in docker’s words', async () => {
  await expect(create({ memoryBytes: 1024 })).rejects.toThrow(/minimum memory limit allowed is 6MB/)
  await expect(create({ cpuNanos: 1e15 })).rejects.toThrow(/range of CPUs is from 0.01 to/)
  await expect(create({ cpusetCpus: '500' })).rejects.toThrow(/requested CPUs are not available/)
})

test('E13: numbers that are none are refused', async () => {
  for (const value of [Number.NaN, Number('1e400'), 2 ** 60, 0.5, -5])
    for (const field of [
      'memoryBytes',
      'cpuNanos',
      'cpuShares',
      'pidsMax',
      'memoryReservationBytes',
      'cpuQuotaUs',
    ])
      await expect(create({ [field]: value })).rejects.toMatchObject({ code: 'container.spec_invalid' })
})

test('statistics: processor time of both kinds, throttling, page cache, processes, blocks and interfaces', async () => {
  const { containers } = host.runtime
  const { gateway } = host.runtime.info().network
  const script = `dd if=/dev/zero of=/big bs=1M count=8 2>/dev/null; sync; nc -w 1 ${gateway} 9 </dev/null; while :; do :; done`
  const { id } = await run(
    { cpuNanos: 0.1e9, memoryBytes: 64 * MIB, pidsMax: 99 },
    { command: ['sh', '-c', script], network: 'bridge' },
  )
  // With cgroup v1 the kernel splits the time into kinds by its ticks, which may all have met one of them yet.
  const used = [
    'cpuUsageNanos',
    'cpuUserNanos',
    'cpuSystemNanos',
    'cpuThrottledNanos',
    'memoryUsageBytes',
  ] as const
  const stats = await until('it used and waited for everything', async () => {
    const now = await containers.stats(id)
    return now.cpuThrottledPeriods > 0 && used.every((field) => now[field] > 0) ? now : undefined
  })
  expect(stats).toMatchObject({ memoryLimitBytes: 64 * MIB, pidsMax: 99 })
  await until('pages are cached', async () => (await containers.stats(id)).memoryInactiveFileBytes >= MIB)
  expect(stats.pids).toBeGreaterThan(0)
  expect(Object.keys(stats.networks)).toEqual(['eth0'])
  await until('packets are counted', async () => (await containers.stats(id)).networks.eth0?.txPackets !== 0)
  await containers.remove(id, { force: true })
})
