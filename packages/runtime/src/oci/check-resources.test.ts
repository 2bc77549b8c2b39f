import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ContainerResources } from '../api.js'
import { checkResources, type HostCapacity, resourceWarnings } from './check-resources.js'
import { parseCpuList } from './cpu-list.js'
import { ociResources } from './resources.js'

const MIB = 1024 * 1024
const HOST: HostCapacity = {
  cgroup: 'v1',
  cpus: 4,
  cpuset: [0, 1, 2, 3],
  memoryNodes: [0],
  hasSwapAccounting: true,
  hasBlkioWeight: true,
  hasRealtime: true,
}
const V2: HostCapacity = { ...HOST, cgroup: 'v2', hasRealtime: false }

test.each<[ContainerResources, RegExp]>([
  [{ memoryBytes: 6 * MIB - 1 }, /minimum memory limit allowed is 6MB/],
  [{ memoryReservationBytes: 1 }, /minimum memory reservation allowed is 6MB/],
  [{ memoryBytes: 8 * MIB, memoryReservationBytes: 9 * MIB }, /can not be less than memory reservation/],
  [{ memorySwapBytes: 8 * MIB }, /always set the memory limit when using the memoryswap limit/],
  [{ memoryBytes: 8 * MIB, memorySwapBytes: 7 * MIB }, /memoryswap limit should be larger than memory limit/],
  [{ memorySwappiness: 101 }, /valid memory swappiness range is 0-100/],
  [{ memorySwappiness: -2 }, /memorySwappiness must not be negative/],
  [{ cpuNanos: 1e9, cpuQuotaUs: 5_000 }, /Nano CPUs and CPU Quota cannot both be set/],
  [{ cpuNanos: 1e9, cpuPeriodUs: 5_000 }, /Nano CPUs and CPU Period cannot both be set/],
  [{ cpuNanos: 4e9 + 1 }, /range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available/],
  [{ cpuNanos: 1e6 }, /range of CPUs/],
  [{ cpuPeriodUs: 999 }, /CPU cfs period can not be less than 1ms/],
  [{ cpuPeriodUs: 1_000_001 }, /larger than 1s/],
  [{ cpuQuotaUs: 999 }, /CPU cfs quota can not be less than 1ms/],
  [{ cpuRealtimePeriodUs: 10, cpuRealtimeRuntimeUs: 11 }, /runtime cannot be higher than .* period/],
  [{ cpusetCpus: '4' }, /requested CPUs are not available - requested 4, available: 0,1,2,3/],
  [{ cpusetCpus: '3-1' }, /invalid value "3-1" for cpuset cpus/],
  [{ cpusetMems: '1' }, /requested memory nodes are not available/],
  [{ blkioWeight: 9 }, /range of blkio weight is from 10 to 1000/],
  [{ blkioWeightDevices: [{ path: '/dev/x', weight: 1001 }] }, /range of blkio weight/],
  [{ blkioThrottles: [{ kind: 'read-bps', path: 'x', rate: 1 }] }, /not the path of a device/],
  [{ blkioThrottles: [{ kind: 'read-bps', path: '/x', rate: -1 }] }, /must be a whole number/],
  [{ memoryBytes: Number.NaN }, /must be a whole number/],
  [{ memoryBytes: -1 }, /must not be negative/],
])('%j is refused', (resources, words) => {
  expect(() => checkResources(resources, HOST)).toThrow(words)
})

test.each<ContainerResources>([
  {},
  { memoryBytes: 6 * MIB, memorySwapBytes: -1, memoryReservationBytes: 6 * MIB, memorySwappiness: 0 },
  { cpuNanos: 4e9 },
  { cpuQuotaUs: -1, cpuPeriodUs: 50_000 },
  { cpusetCpus: '0-2,3', cpusetMems: '0' },
  { pidsMax: -1, blkioWeight: 1000 },
  { memoryBytes: 0, cpuNanos: 0, pidsMax: 0, blkioWeight: 0, cpusetCpus: '' },
])('%j is taken', (resources) => {
  expect(() => checkResources(resources, HOST)).not.toThrow()
})

test('what only v1 has is refused or left out with a word on v2', () => {
  expect(() => checkResources({ memorySwappiness: 5 }, V2)).toThrow(/cgroup v2/)
  expect(() => checkResources({ cpuRealtimeRuntimeUs: 5 }, V2)).toThrow(/real-time/)
  const wanted = { memoryBytes: 8 * MIB, oomKillDisable: true }
  expect(resourceWarnings(wanted, V2)).toEqual([expect.stringMatching(/OomKillDisable discarded/)])
  expect(ociResources(wanted, {}, V2)).toMatchObject({ unified: { 'memory.oom.group': '1' } })
  expect(ociResources(wanted, {}, HOST)).toMatchObject({ memory: { disableOOMKiller: true } })
})

test('each limit becomes the OCI field it belongs in', () => {
  const device = { major: 8, minor: 16 }
  const wanted: ContainerResources = {
    memoryBytes: 64 * MIB,
    memoryReservationBytes: 32 * MIB,
    memorySwapBytes: -1,
    memorySwappiness: 7,
    cpuShares: 1,
    cpuPeriodUs: 50_000,
    cpuQuotaUs: 25_000,
    cpuRealtimePeriodUs: 1_000,
    cpuRealtimeRuntimeUs: 500,
    cpusetCpus: '0',
    cpusetMems: '0',
    pidsMax: 9,
    blkioWeight: 500,
    blkioWeightDevices: [{ path: '/dev/b', weight: 100 }],
    blkioThrottles: [
      { kind: 'read-bps', path: '/dev/b', rate: 1 },
      { kind: 'write-bps', path: '/dev/b', rate: 2 },
      { kind: 'read-iops', path: '/dev/b', rate: 3 },
      { kind: 'write-iops', path: '/dev/b', rate: 4 },
    ],
  }
  expect(ociResources(wanted, { '/dev/b': device }, HOST)).toEqual({
    pids: { limit: 9 },
    memory: { limit: 64 * MIB, reservation: 32 * MIB, swap: -1, swappiness: 7 },
    cpu: {
      shares: 2,
      period: 50_000,
      quota: 25_000,
      realtimePeriod: 1_000,
      realtimeRuntime: 500,
      cpus: '0',
      mems: '0',
    },
    blockIO: {
      weight: 500,
      weightDevice: [{ ...device, weight: 100 }],
      throttleReadBpsDevice: [{ ...device, rate: 1 }],
      throttleWriteBpsDevice: [{ ...device, rate: 2 }],
      throttleReadIOPSDevice: [{ ...device, rate: 3 }],
      throttleWriteIOPSDevice: [{ ...device, rate: 4 }],
    },
  })
})

test('zero everywhere is no limit at all', () => {
  const none = { memoryBytes: 0, memorySwapBytes: 0, cpuNanos: 0, cpuShares: 0, pidsMax: 0, blkioWeight: 0 }
  expect(ociResources(none, {}, HOST)).toEqual({})
})

test('where the kernel has no weights or swap accounting they are left out, and said so', () => {
  const poor = { ...HOST, hasBlkioWeight: false, hasSwapAccounting: false }
  const wanted = { memoryBytes: 8 * MIB, blkioWeight: 10 }
  expect(ociResources(wanted, {}, poor)).toEqual({ pids: { limit: 2048 }, memory: { limit: 8 * MIB } })
  expect(resourceWarnings(wanted, poor)).toHaveLength(2)
  expect(resourceWarnings(wanted, HOST)).toEqual([])
})

test.each([
  ['0', [0]],
  ['0-2,2,5', [0, 1, 2, 5]],
  [' 1 , 0\n', [0, 1]],
])('the list %j names %j', (text, expected) => expect(parseCpuList(text)).toEqual(expected))

test('whatever text is given, a list is bounded numbers or nothing', () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[0-9,\- ]{0,12}$/))
  const holds = (input: string) => {
    const list = parseCpuList(input)
    return list === undefined || (list.length <= 8_192 && list.every((one) => one >= 0 && one < 8_192))
  }
  fc.assert(fc.property(text, holds), { numRuns: 50_000 })
})
