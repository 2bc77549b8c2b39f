import type { ContainerResources } from '../api.js'
import type { HostCapacity } from './check-resources.js'

/** A device of a throttle or weight, by number. */
export interface BlockDevice {
  readonly major: number
  readonly minor: number
}
/** Block devices by path on the host. */
export type BlockDevices = Readonly<Record<string, BlockDevice>>

export const DEFAULT_PIDS = 2048
const CPU_PERIOD_US = 100_000
const CPU_QUOTA_MIN_US = 1_000

/** The part of `linux.resources` that limits; devices have rules of their own. 0 is no limit. */
export function ociResources(wanted: ContainerResources, devices: BlockDevices, host: HostCapacity): object {
  const pids = wanted.pidsMax ?? DEFAULT_PIDS
  const parts = {
    memory: memoryPart(wanted, host),
    cpu: cpuPart(wanted),
    blockIO: blockPart(wanted, devices, host),
    // An OOM kill that takes one process of many leaves a container that looks alive (reliability.md §4.2).
    unified: host.cgroup === 'v2' && wanted.memoryBytes ? { 'memory.oom.group': '1' } : {},
  }
  const filled = Object.entries(parts).filter(([, part]) => Object.keys(part).length > 0)
  // crun 1.8.1 writes -1 as it is, which v1 refuses; without the field there is no limit.
  return { ...(pids > 0 ? { pids: { limit: pids } } : {}), ...Object.fromEntries(filled) }
}

/** Memory and swap together: no swap beyond the memory unless it is asked for. Undefined leaves it alone. */
export function swapLimit({ memoryBytes = 0, memorySwapBytes = 0 }: ContainerResources): number | undefined {
  if (memorySwapBytes !== 0) return memorySwapBytes
  return memoryBytes === 0 ? undefined : memoryBytes
}

function memoryPart(wanted: ContainerResources, host: HostCapacity): object {
  const swap = host.hasSwapAccounting ? swapLimit(wanted) : undefined
  const swappiness = wanted.memorySwappiness ?? -1
  return {
    ...(wanted.memoryBytes ? { limit: wanted.memoryBytes } : {}),
    ...(wanted.memoryReservationBytes ? { reservation: wanted.memoryReservationBytes } : {}),
    ...(swap === undefined ? {} : { swap }),
    ...(swappiness === -1 || host.cgroup === 'v2' ? {} : { swappiness }),
    ...(wanted.oomKillDisable && host.cgroup === 'v1' ? { disableOOMKiller: true } : {}),
  }
}

/** How much of each period; undefined when it is left alone. */
export function cpuBandwidth(
  wanted: ContainerResources,
): { readonly period: number; readonly quota: number } | undefined {
  const { cpuNanos = 0, cpuPeriodUs = 0, cpuQuotaUs = 0 } = wanted
  if (cpuNanos > 0)
    return {
      period: CPU_PERIOD_US,
      quota: Math.max(CPU_QUOTA_MIN_US, Math.round((cpuNanos / 1e9) * CPU_PERIOD_US)),
    }
  if (cpuPeriodUs === 0 && cpuQuotaUs <= 0) return undefined
  return { period: cpuPeriodUs || CPU_PERIOD_US, quota: cpuQuotaUs > 0 ? cpuQuotaUs : -1 }
}

function cpuPart(wanted: ContainerResources): object {
  const bandwidth = cpuBandwidth(wanted)
  return {
    ...(wanted.cpuShares ? { shares: Math.max(2, wanted.cpuShares) } : {}),
    ...(bandwidth ?? {}),
    ...(wanted.cpuRealtimePeriodUs ? { realtimePeriod: wanted.cpuRealtimePeriodUs } : {}),
    ...(wanted.cpuRealtimeRuntimeUs ? { realtimeRuntime: wanted.cpuRealtimeRuntimeUs } : {}),
    ...(wanted.cpusetCpus ? { cpus: wanted.cpusetCpus } : {}),
    ...(wanted.cpusetMems ? { mems: wanted.cpusetMems } : {}),
  }
}

const THROTTLES = {
  'read-bps': 'throttleReadBpsDevice',
  'write-bps': 'throttleWriteBpsDevice',
  'read-iops': 'throttleReadIOPSDevice',
  'write-iops': 'throttleWriteIOPSDevice',
} as const

function blockPart(wanted: ContainerResources, devices: BlockDevices, host: HostCapacity): object {
  const part: Record<string, unknown> = {}
  for (const { kind, path, rate } of wanted.blkioThrottles ?? []) {
    const name = THROTTLES[kind]
    part[name] = [...((part[name] as unknown[] | undefined) ?? []), { ...devices[path], rate }]
  }
  if (!host.hasBlkioWeight) return part
  const weighted = (wanted.blkioWeightDevices ?? []).map(({ path, weight }) => ({ ...devices[path], weight }))
  return {
    ...part,
    ...(wanted.blkioWeight ? { weight: wanted.blkioWeight } : {}),
    ...(weighted.length > 0 ? { weightDevice: weighted } : {}),
  }
}

/** Paths of block devices that the limits name. */
export const blockPaths = (wanted: ContainerResources): readonly string[] =>
  [...(wanted.blkioThrottles ?? []), ...(wanted.blkioWeightDevices ?? [])].map(({ path }) => path)
