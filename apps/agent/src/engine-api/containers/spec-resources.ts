import type { BlkioThrottle, ContainerResources, RestartPolicy, Ulimit } from '@berth/runtime'
import { compact, unlessEmpty, unlessZero } from './compact.js'
import type { HostConfigBody, ResourcesBody, RestartBody } from './create-body.js'
import { refuse } from './refuse.js'

const MEMORY_MIN = 6 * 1024 * 1024
const NANOS_PER_CPU = 1e9

/** @throws engine.create_invalid in docker's words */
export function resourcesOf(body: ResourcesBody, host: { readonly cpus: number }): ContainerResources {
  assertMemory(body)
  assertCpu(body, host.cpus)
  if (body.BlkioWeight && (body.BlkioWeight < 10 || body.BlkioWeight > 1000))
    throw refuse('Range of blkio weight is from 10 to 1000')
  return compact<ContainerResources>({
    cpuNanos: unlessZero(body.NanoCpus),
    cpuShares: unlessZero(body.CpuShares),
    cpuPeriodUs: unlessZero(body.CpuPeriod),
    cpuQuotaUs: unlessZero(body.CpuQuota),
    cpuRealtimePeriodUs: unlessZero(body.CpuRealtimePeriod),
    cpuRealtimeRuntimeUs: unlessZero(body.CpuRealtimeRuntime),
    cpusetCpus: unlessEmpty(body.CpusetCpus),
    cpusetMems: unlessEmpty(body.CpusetMems),
    memoryBytes: unlessZero(body.Memory),
    memoryReservationBytes: unlessZero(body.MemoryReservation),
    memorySwapBytes: swapOf(body),
    memorySwappiness: body.MemorySwappiness === -1 ? undefined : body.MemorySwappiness,
    oomKillDisable: body.OomKillDisable || undefined,
    pidsMax: unlessZero(body.PidsLimit),
    blkioWeight: unlessZero(body.BlkioWeight),
    blkioWeightDevices: unlessEmpty(
      body.BlkioWeightDevice?.map(({ Path, Weight }) => ({ path: Path, weight: Weight })),
    ),
    blkioThrottles: unlessEmpty(throttlesOf(body)),
  })
}

/** docker gives a container with a memory limit as much swap again. */
const swapOf = ({ Memory, MemorySwap }: ResourcesBody): number | undefined =>
  unlessZero(MemorySwap) ?? (Memory ? 2 * Memory : undefined)

const throttlesOf = (body: ResourcesBody): readonly BlkioThrottle[] =>
  (
    [
      ['read-bps', body.BlkioDeviceReadBps],
      ['write-bps', body.BlkioDeviceWriteBps],
      ['read-iops', body.BlkioDeviceReadIOps],
      ['write-iops', body.BlkioDeviceWriteIOps],
    ] as const
  ).flatMap(([kind, given]) => (given ?? []).map(({ Path, Rate }) => ({ kind, path: Path, rate: Rate })))

function assertMemory(body: ResourcesBody): void {
  const { Memory = 0, MemorySwap = 0, MemoryReservation = 0, MemorySwappiness = -1 } = body
  if (Memory < 0 || (Memory > 0 && Memory < MEMORY_MIN)) throw refuse('Minimum memory limit allowed is 6MB')
  if (MemorySwap < -1) throw refuse('Invalid memoryswap limit: expected -1 or a size')
  if (MemorySwap > 0 && Memory === 0)
    throw refuse('You should always set the Memory limit when using Memoryswap limit, see usage')
  if (MemorySwap > 0 && MemorySwap < Memory)
    throw refuse('Minimum memoryswap limit should be larger than memory limit, see usage')
  if (MemoryReservation < 0 || (MemoryReservation > 0 && MemoryReservation < MEMORY_MIN))
    throw refuse('Minimum memory reservation allowed is 6MB')
  if (Memory > 0 && MemoryReservation > Memory)
    throw refuse('Minimum memory limit can not be less than memory reservation limit, see usage')
  if (MemorySwappiness < -1 || MemorySwappiness > 100)
    throw refuse(`Invalid value: ${MemorySwappiness}, valid memory swappiness range is 0-100`)
}

function assertCpu(body: ResourcesBody, cpus: number): void {
  const { NanoCpus = 0, CpuPeriod = 0, CpuQuota = 0, CpuShares = 0 } = body
  if (NanoCpus > 0 && CpuPeriod > 0)
    throw refuse('Conflicting options: Nano CPUs and CPU Period cannot both be set')
  if (NanoCpus > 0 && CpuQuota > 0)
    throw refuse('Conflicting options: Nano CPUs and CPU Quota cannot both be set')
  if (NanoCpus < 0 || NanoCpus > cpus * NANOS_PER_CPU)
    throw refuse(`Range of CPUs is from 0.01 to ${cpus}.00, as there are only ${cpus} CPUs available`)
  if (CpuPeriod !== 0 && (CpuPeriod < 1000 || CpuPeriod > 1_000_000))
    throw refuse('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)')
  if (CpuQuota > 0 && CpuQuota < 1000) throw refuse('CPU cfs quota can not be less than 1ms (i.e. 1000)')
  if (CpuShares < 0) throw refuse(`invalid CPU shares (${CpuShares}): value must be a positive integer`)
}

/** @throws engine.create_invalid */
export function restartOf(body: RestartBody | undefined): RestartPolicy | undefined {
  const retriesMax = body?.MaximumRetryCount ?? 0
  const name = body?.Name || 'no'
  if (retriesMax < 0) throw refuse('invalid restart policy: maximum retry count cannot be negative')
  if (name !== 'on-failure' && retriesMax > 0)
    throw refuse(`invalid restart policy: maximum retry count can only be used with 'on-failure'`)
  switch (name) {
    case 'no':
      return body?.Name ? { name } : undefined
    case 'always':
    case 'unless-stopped':
      return { name }
    case 'on-failure':
      return { name, retriesMax }
    default:
      throw refuse(
        `invalid restart policy: unknown policy '${name.slice(0, 100)}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
      )
  }
}

/** @throws engine.create_invalid */
export function ulimitsOf(body: HostConfigBody['Ulimits']): readonly Ulimit[] | undefined {
  for (const { Name, Soft, Hard } of body ?? [])
    if (Hard !== -1 && (Soft === -1 || Soft > Hard))
      throw refuse(`ulimit soft limit must be less than or equal to hard limit: ${Name}: ${Soft} > ${Hard}`)
  return unlessEmpty(body?.map(({ Name, Soft, Hard }) => ({ name: Name, soft: Soft, hard: Hard })))
}
