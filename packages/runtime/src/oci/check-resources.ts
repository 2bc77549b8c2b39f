import { fault } from '@berth/core'
import type { ContainerResources } from '../api.js'
import { type CpuList, parseCpuList } from './cpu-list.js'

/** What this host has to give; see `hostCapacity` in host/capacity.exec.ts. */
export interface HostCapacity {
  readonly cgroup: 'v1' | 'v2'
  readonly cpus: number
  /** The ones that are online. */
  readonly cpuset: CpuList
  readonly memoryNodes: CpuList
  /** Whether the kernel counts swap. */
  readonly hasSwapAccounting: boolean
  readonly hasBlkioWeight: boolean
  readonly hasRealtime: boolean
}

const MIB = 1024 * 1024
const MEMORY_MIN = 6 * MIB
const NANOS = 1e9
const CPU_NANOS_MIN = 0.01 * NANOS

const refused = (why: string) => fault.invalidArgument('container.spec_invalid', why)

/** Whether these limits make sense and this host can keep them; 0 is no limit everywhere. @throws container.spec_invalid in docker's words */
export function checkResources(resources: ContainerResources, host: HostCapacity): void {
  checkNumbers(resources)
  checkMemory(resources, host)
  checkCpu(resources, host)
  checkCpusets(resources, host)
  checkBlkio(resources)
}

/** Sizes and counts come from JSON and forms: NaN, fractions, 1e400 and what 53 bits cannot hold are told apart from a limit. */
function checkNumbers(resources: ContainerResources): void {
  for (const [name, value] of Object.entries(resources)) {
    if (typeof value !== 'number') continue
    if (!Number.isSafeInteger(value)) throw refused(`${name} must be a whole number, not ${value}`)
    if (value < (MAY_BE_UNLIMITED.has(name) ? -1 : 0)) throw refused(`${name} must not be negative: ${value}`)
  }
}
const MAY_BE_UNLIMITED = new Set(['memorySwapBytes', 'pidsMax', 'memorySwappiness', 'cpuQuotaUs'])

function checkMemory(resources: ContainerResources, host: HostCapacity): void {
  const memory = resources.memoryBytes ?? 0
  const swap = resources.memorySwapBytes ?? 0
  const reservation = resources.memoryReservationBytes ?? 0
  const swappiness = resources.memorySwappiness ?? -1
  if (memory > 0 && memory < MEMORY_MIN) throw refused('minimum memory limit allowed is 6MB')
  if (reservation > 0 && reservation < MEMORY_MIN) throw refused('minimum memory reservation allowed is 6MB')
  if (swap > 0 && memory === 0)
    throw refused('you should always set the memory limit when using the memoryswap limit')
  if (swap > 0 && swap < memory)
    throw refused('minimum memoryswap limit should be larger than memory limit: it counts both together')
  if (memory > 0 && reservation > memory)
    throw refused('minimum memory limit can not be less than memory reservation limit')
  if (swappiness === -1) return
  if (swappiness > 100) throw refused(`invalid value: ${swappiness}, valid memory swappiness range is 0-100`)
  if (host.cgroup === 'v2')
    throw refused('memory swappiness is not supported by cgroup v2, which this host uses')
}

function checkCpu(resources: ContainerResources, host: HostCapacity): void {
  const nanos = resources.cpuNanos ?? 0
  const period = resources.cpuPeriodUs ?? 0
  const quota = resources.cpuQuotaUs ?? 0
  if (nanos > 0 && period > 0)
    throw refused('conflicting options: Nano CPUs and CPU Period cannot both be set')
  if (nanos > 0 && quota > 0) throw refused('conflicting options: Nano CPUs and CPU Quota cannot both be set')
  if (nanos > 0 && (nanos < CPU_NANOS_MIN || nanos > host.cpus * NANOS))
    throw refused(
      `range of CPUs is from 0.01 to ${host.cpus}.00, as there are only ${host.cpus} CPUs available`,
    )
  if (period > 0 && (period < 1_000 || period > 1_000_000))
    throw refused('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)')
  if (quota > 0 && quota < 1_000) throw refused('CPU cfs quota can not be less than 1ms (i.e. 1000)')
  checkRealtime(resources, host)
}

function checkRealtime(resources: ContainerResources, host: HostCapacity): void {
  const period = resources.cpuRealtimePeriodUs ?? 0
  const runtime = resources.cpuRealtimeRuntimeUs ?? 0
  if ((period > 0 || runtime > 0) && !host.hasRealtime)
    throw refused('your kernel does not support CPU real-time scheduling in cgroups')
  if (period > 0 && runtime > period)
    throw refused('cpu real-time runtime cannot be higher than cpu real-time period')
}

function checkCpusets({ cpusetCpus, cpusetMems }: ContainerResources, host: HostCapacity): void {
  checkList(cpusetCpus, 'cpus', 'CPUs', host.cpuset)
  checkList(cpusetMems, 'mems', 'memory nodes', host.memoryNodes)
}

function checkList(wanted: string | undefined, field: string, what: string, available: CpuList): void {
  if (wanted === undefined || wanted === '') return
  const list = parseCpuList(wanted)
  if (!list) throw refused(`invalid value ${JSON.stringify(wanted.slice(0, 100))} for cpuset ${field}`)
  if (list.every((one) => available.includes(one))) return
  throw refused(
    `requested ${what} are not available - requested ${wanted}, available: ${available.join(',')}`,
  )
}

function checkBlkio(resources: ContainerResources): void {
  const weights = [
    resources.blkioWeight ?? 0,
    ...(resources.blkioWeightDevices ?? []).map(({ weight }) => weight),
  ]
  for (const weight of weights)
    if (weight !== 0 && !(Number.isInteger(weight) && weight >= 10 && weight <= 1_000))
      throw refused('range of blkio weight is from 10 to 1000')
  for (const { kind, path, rate } of resources.blkioThrottles ?? []) {
    if (!path.startsWith('/') || path.includes('\0'))
      throw refused(`blkio ${kind}: ${JSON.stringify(path.slice(0, 200))} is not the path of a device`)
    if (!Number.isSafeInteger(rate) || rate < 0)
      throw refused(`blkio ${kind}: the rate ${rate} must be a whole number`)
  }
}

/** What is left out on this host, in docker's words; the container runs without it. */
export function resourceWarnings(resources: ContainerResources, host: HostCapacity): readonly string[] {
  const warnings: string[] = []
  if (resources.memoryBytes && !host.hasSwapAccounting)
    warnings.push(
      'Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.',
    )
  const hasWeight = resources.blkioWeight || (resources.blkioWeightDevices ?? []).length > 0
  if (hasWeight && !host.hasBlkioWeight)
    warnings.push(
      'Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.',
    )
  if (resources.oomKillDisable && host.cgroup === 'v2')
    warnings.push('Your kernel does not support OomKillDisable. OomKillDisable discarded.')
  if (resources.oomKillDisable && !resources.memoryBytes)
    warnings.push(
      'OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.',
    )
  return warnings
}
