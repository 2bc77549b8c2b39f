import type { ContainerResources } from '../api.js'
import { type BlockDevice, type BlockDevices, cpuBandwidth, swapLimit } from './resources.js'

/** One file of a cgroup and what is written to it. */
export interface LimitWrite {
  /** The v1 hierarchy it is in; on v2 all files are in one directory. */
  readonly controller: 'memory' | 'cpu' | 'cpuset' | 'pids' | 'blkio'
  readonly file: string
  readonly value: string
}

/** How the cgroup is now; -1 is no limit. */
export interface CurrentLimits {
  readonly memoryBytes: number
  /** Memory and swap together; undefined where swap is not counted. */
  readonly swapBytes: number | undefined
}

interface LimitHost {
  readonly cgroup: 'v1' | 'v2'
  readonly hasBlkioWeight: boolean
}

/** What to write, in this order, so that a running container has these limits. Absent fields stay, 0 takes a limit away. */
export function planLimits(
  wanted: ContainerResources,
  current: CurrentLimits,
  devices: BlockDevices,
  host: LimitHost,
): readonly LimitWrite[] {
  const isV2 = host.cgroup === 'v2'
  return [
    ...(isV2 ? memoryV2(wanted, current) : memoryV1(wanted, current)),
    ...(isV2 ? cpuV2(wanted) : cpuV1(wanted)),
    ...cpusets(wanted),
    ...write('pids', 'pids.max', wanted.pidsMax, (max) => (max <= 0 ? 'max' : String(max))),
    ...(host.hasBlkioWeight ? weights(wanted, devices, isV2) : []),
    ...throttles(wanted, devices, isV2),
  ]
}

function write<T>(
  controller: LimitWrite['controller'],
  file: string,
  wanted: T | undefined,
  text: (value: T) => string = String,
): readonly LimitWrite[] {
  return wanted === undefined ? [] : [{ controller, file, value: text(wanted) }]
}

const orNone = (bytes: number): string => (bytes <= 0 ? '-1' : String(bytes))
const asSize = (bytes: number): number => (bytes <= 0 ? Number.POSITIVE_INFINITY : bytes)

/** What both come to after the change; undefined leaves the file alone. */
function newSizes(wanted: ContainerResources, { swapBytes }: CurrentLimits) {
  const memory = wanted.memoryBytes
  const hasSwap = swapBytes !== undefined
  const swap = swapLimit(wanted) ?? (memory === 0 ? -1 : undefined)
  return { memory, swap: hasSwap ? swap : undefined }
}

/** The kernel never lets memory be over memory and swap together: going up the sum comes first, going down the part. */
function memoryV1(wanted: ContainerResources, current: CurrentLimits): readonly LimitWrite[] {
  const { memory, swap } = newSizes(wanted, current)
  const part = write('memory', 'memory.limit_in_bytes', memory, orNone)
  const sum = write('memory', 'memory.memsw.limit_in_bytes', swap, orNone)
  const goesUp = asSize(swap ?? -1) >= asSize(current.swapBytes ?? -1)
  const swappiness = wanted.memorySwappiness
  return [
    ...(goesUp ? [...sum, ...part] : [...part, ...sum]),
    ...write('memory', 'memory.soft_limit_in_bytes', wanted.memoryReservationBytes, orNone),
    ...(swappiness === -1 ? [] : write('memory', 'memory.swappiness', swappiness)),
    ...write('memory', 'memory.oom_control', wanted.oomKillDisable, (off) => (off ? '1' : '0')),
  ]
}

function memoryV2(wanted: ContainerResources, current: CurrentLimits): readonly LimitWrite[] {
  const { memory, swap } = newSizes(wanted, current)
  const base = memory ?? current.memoryBytes
  const orMax = (bytes: number) => (bytes <= 0 ? 'max' : String(bytes))
  const beyond = (sum: number) => (sum <= 0 ? 'max' : String(Math.max(0, sum - Math.max(0, base))))
  return [
    ...write('memory', 'memory.max', memory, orMax),
    ...write('memory', 'memory.swap.max', swap, beyond),
    ...write('memory', 'memory.low', wanted.memoryReservationBytes, (bytes) => String(Math.max(0, bytes))),
  ]
}

const wantsBandwidth = (wanted: ContainerResources): boolean =>
  [wanted.cpuNanos, wanted.cpuPeriodUs, wanted.cpuQuotaUs].some((value) => value !== undefined)

const CPU_SHARES = 1_024

function cpuV1(wanted: ContainerResources): readonly LimitWrite[] {
  const bandwidth = cpuBandwidth(wanted)
  const quota = wantsBandwidth(wanted) ? (bandwidth?.quota ?? -1) : undefined
  const period = write('cpu', 'cpu.cfs_period_us', bandwidth?.period)
  const part = write('cpu', 'cpu.cfs_quota_us', quota)
  return [
    ...write('cpu', 'cpu.shares', wanted.cpuShares, (shares) => String(shares || CPU_SHARES)),
    ...(quota === -1 ? [...part, ...period] : [...period, ...part]),
    ...write('cpu', 'cpu.rt_period_us', wanted.cpuRealtimePeriodUs || undefined),
    ...write('cpu', 'cpu.rt_runtime_us', wanted.cpuRealtimeRuntimeUs),
  ]
}

/** Shares are 2 to 262,144 around 1,024, weights 1 to 10,000 around 100: the OCI runtimes' own line between them. */
const weightOfShares = (shares: number): number =>
  1 + Math.floor(((Math.min(262_144, Math.max(2, shares || CPU_SHARES)) - 2) * 9_999) / 262_142)

function cpuV2(wanted: ContainerResources): readonly LimitWrite[] {
  const bandwidth = cpuBandwidth(wanted)
  const quota = bandwidth && bandwidth.quota > 0 ? String(bandwidth.quota) : 'max'
  const max = wantsBandwidth(wanted) ? `${quota} ${bandwidth?.period ?? 100_000}` : undefined
  return [
    ...write('cpu', 'cpu.weight', wanted.cpuShares, (shares) => String(weightOfShares(shares))),
    ...write('cpu', 'cpu.max', max),
  ]
}

const cpusets = ({ cpusetCpus, cpusetMems }: ContainerResources): readonly LimitWrite[] => [
  ...write('cpuset', 'cpuset.cpus', cpusetCpus || undefined),
  ...write('cpuset', 'cpuset.mems', cpusetMems || undefined),
]

const numbers = (device: BlockDevice | undefined): string => `${device?.major ?? 0}:${device?.minor ?? 0}`
const ioWeight = (weight: number): number => 1 + Math.floor(((weight - 10) * 9_999) / 990)

function weights(wanted: ContainerResources, devices: BlockDevices, isV2: boolean): readonly LimitWrite[] {
  const common = wanted.blkioWeight || undefined
  const each = wanted.blkioWeightDevices ?? []
  if (isV2)
    return [
      ...write('blkio', 'io.weight', common, (weight) => `default ${ioWeight(weight)}`),
      ...each.flatMap(({ path, weight }) =>
        write('blkio', 'io.weight', `${numbers(devices[path])} ${ioWeight(weight)}`),
      ),
    ]
  return [
    ...write('blkio', 'blkio.weight', common),
    ...each.flatMap(({ path, weight }) =>
      write('blkio', 'blkio.weight_device', `${numbers(devices[path])} ${weight}`),
    ),
  ]
}

const V1_FILES = {
  'read-bps': 'blkio.throttle.read_bps_device',
  'write-bps': 'blkio.throttle.write_bps_device',
  'read-iops': 'blkio.throttle.read_iops_device',
  'write-iops': 'blkio.throttle.write_iops_device',
} as const
const V2_KEYS = {
  'read-bps': 'rbps',
  'write-bps': 'wbps',
  'read-iops': 'riops',
  'write-iops': 'wiops',
} as const

function throttles(wanted: ContainerResources, devices: BlockDevices, isV2: boolean): readonly LimitWrite[] {
  return (wanted.blkioThrottles ?? []).flatMap(({ kind, path, rate }) => {
    const device = numbers(devices[path])
    if (isV2) return write('blkio', 'io.max', `${device} ${V2_KEYS[kind]}=${rate || 'max'}`)
    return write('blkio', V1_FILES[kind], `${device} ${rate}`)
  })
}
