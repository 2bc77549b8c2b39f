import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ContainerResources } from '../api.js'
import { type CurrentLimits, planLimits } from './plan-limits.js'

const V1 = { cgroup: 'v1', hasBlkioWeight: true } as const
const V2 = { cgroup: 'v2', hasBlkioWeight: true } as const
const NOW: CurrentLimits = { memoryBytes: 100, swapBytes: 100 }
const plan = (wanted: ContainerResources, host: typeof V1 | typeof V2 = V1, now = NOW) =>
  planLimits(wanted, now, { '/dev/b': { major: 8, minor: 0 } }, host).map(
    ({ file, value }) => `${file}=${value}`,
  )

test.each<[string, ContainerResources, string[]]>([
  ['nothing', {}, []],
  [
    'up: the sum first',
    { memoryBytes: 200 },
    ['memory.memsw.limit_in_bytes=200', 'memory.limit_in_bytes=200'],
  ],
  [
    'down: the part first',
    { memoryBytes: 50 },
    ['memory.limit_in_bytes=50', 'memory.memsw.limit_in_bytes=50'],
  ],
  ['away', { memoryBytes: 0 }, ['memory.memsw.limit_in_bytes=-1', 'memory.limit_in_bytes=-1']],
  [
    'swap without end',
    { memoryBytes: 50, memorySwapBytes: -1 },
    ['memory.memsw.limit_in_bytes=-1', 'memory.limit_in_bytes=50'],
  ],
  ['swap alone', { memorySwapBytes: 300 }, ['memory.memsw.limit_in_bytes=300']],
  ['reservation away', { memoryReservationBytes: 0 }, ['memory.soft_limit_in_bytes=-1']],
  [
    'OOM killer and swappiness',
    { memorySwappiness: 3, oomKillDisable: false },
    ['memory.swappiness=3', 'memory.oom_control=0'],
  ],
  ['half a processor', { cpuNanos: 0.5e9 }, ['cpu.cfs_period_us=100000', 'cpu.cfs_quota_us=50000']],
  ['processors away', { cpuNanos: 0 }, ['cpu.cfs_quota_us=-1']],
  [
    'quota away, period stays',
    { cpuQuotaUs: -1, cpuPeriodUs: 50_000 },
    ['cpu.cfs_quota_us=-1', 'cpu.cfs_period_us=50000'],
  ],
  ['shares back to the default', { cpuShares: 0 }, ['cpu.shares=1024']],
  ['sets', { cpusetCpus: '0', cpusetMems: '' }, ['cpuset.cpus=0']],
  ['processes', { pidsMax: 5 }, ['pids.max=5']],
  ['processes without end', { pidsMax: -1 }, ['pids.max=max']],
  [
    'weights',
    { blkioWeight: 20, blkioWeightDevices: [{ path: '/dev/b', weight: 30 }] },
    ['blkio.weight=20', 'blkio.weight_device=8:0 30'],
  ],
  [
    'rates',
    { blkioThrottles: [{ kind: 'write-iops', path: '/dev/b', rate: 0 }] },
    ['blkio.throttle.write_iops_device=8:0 0'],
  ],
])('v1, %s', (_name, wanted, expected) => expect(plan(wanted)).toEqual(expected))

test.each<[string, ContainerResources, string[]]>([
  ['memory', { memoryBytes: 200, memorySwapBytes: 250 }, ['memory.max=200', 'memory.swap.max=50']],
  ['no swap beside memory', { memoryBytes: 200 }, ['memory.max=200', 'memory.swap.max=0']],
  ['memory away', { memoryBytes: 0 }, ['memory.max=max', 'memory.swap.max=max']],
  ['swap over the memory there is', { memorySwapBytes: 150 }, ['memory.swap.max=50']],
  ['reservation', { memoryReservationBytes: 10 }, ['memory.low=10']],
  ['processors', { cpuNanos: 2e9 }, ['cpu.max=200000 100000']],
  ['processors away', { cpuQuotaUs: 0 }, ['cpu.max=max 100000']],
  ['shares', { cpuShares: 1024 }, ['cpu.weight=39']],
  ['most shares', { cpuShares: 262_144 }, ['cpu.weight=10000']],
  ['weight', { blkioWeight: 10 }, ['io.weight=default 1']],
  ['rates', { blkioThrottles: [{ kind: 'read-bps', path: '/dev/b', rate: 0 }] }, ['io.max=8:0 rbps=max']],
])('v2, %s', (_name, wanted, expected) => expect(plan(wanted, V2)).toEqual(expected))

test('where swap is not counted it is left alone', () => {
  const now = { memoryBytes: 100, swapBytes: undefined }
  expect(plan({ memoryBytes: 50, memorySwapBytes: 70 }, V1, now)).toEqual(['memory.limit_in_bytes=50'])
})

test('from any limits to any others memory is never over memory and swap together on the way', () => {
  const size = fc.integer({ min: 1, max: 50 })
  const pair = fc.tuple(size, size).map(([memory, more]) => ({ memory, sum: memory + more - 1 }))
  fc.assert(
    fc.property(pair, pair, (before, after) => {
      const now = { memory: before.memory, sum: before.sum }
      const wanted = { memoryBytes: after.memory, memorySwapBytes: after.sum }
      const current = { memoryBytes: before.memory, swapBytes: before.sum }
      for (const { file, value } of planLimits(wanted, current, {}, V1)) {
        if (file === 'memory.limit_in_bytes') now.memory = Number(value)
        if (file === 'memory.memsw.limit_in_bytes') now.sum = Number(value)
        if (now.memory > now.sum) return false
      }
      return now.memory === after.memory && now.sum === after.sum
    }),
    { numRuns: 5_000 },
  )
})
