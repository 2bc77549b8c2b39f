import type { ContainerStats } from '@berth/runtime'

/** One reading of a container and of its host at the same time. */
export interface StatsSample {
  readonly stats: ContainerStats
  /** CPU time of the whole host, idle time included. */
  readonly hostCpuNanos: number
}

export interface StatsContext {
  readonly id: string
  readonly name: string
  readonly cpus: number
  readonly hostMemoryBytes: number
}

/** docker's stats: `precpu_stats` is the reading before, from which its clients compute percentages. */
export function statsAnswer(
  context: StatsContext,
  now: StatsSample | undefined,
  before: StatsSample | undefined,
): object {
  const stats = now?.stats
  return {
    name: `/${context.name}`,
    id: context.id,
    read: timeOf(now),
    preread: timeOf(before),
    num_procs: 0,
    storage_stats: {},
    pids_stats: stats ? { current: stats.pids, ...(stats.pidsMax ? { limit: stats.pidsMax } : {}) } : {},
    cpu_stats: cpuAnswer(now, context.cpus),
    precpu_stats: cpuAnswer(before, context.cpus),
    memory_stats: stats ? memoryAnswer(stats, context.hostMemoryBytes) : {},
    blkio_stats: blockAnswer(stats),
    ...(stats && Object.keys(stats.networks).length > 0 ? { networks: networksAnswer(stats) } : {}),
  }
}

const timeOf = (sample: StatsSample | undefined): string =>
  sample ? new Date(sample.stats.readAtMs).toISOString() : '0001-01-01T00:00:00Z'

function cpuAnswer(sample: StatsSample | undefined, cpus: number): object {
  const throttled = {
    periods: 0,
    throttled_periods: sample?.stats.cpuThrottledPeriods ?? 0,
    throttled_time: sample?.stats.cpuThrottledNanos ?? 0,
  }
  const usage = {
    total_usage: sample?.stats.cpuUsageNanos ?? 0,
    usage_in_kernelmode: sample?.stats.cpuSystemNanos ?? 0,
    usage_in_usermode: sample?.stats.cpuUserNanos ?? 0,
  }
  return {
    cpu_usage: usage,
    throttling_data: throttled,
    ...(sample ? { system_cpu_usage: sample.hostCpuNanos, online_cpus: cpus } : {}),
  }
}

/** The inactive file cache under the names of both cgroup versions, since clients take one of them off the usage. */
const memoryAnswer = (stats: ContainerStats, hostMemoryBytes: number): object => ({
  usage: stats.memoryUsageBytes,
  limit: stats.memoryLimitBytes ?? hostMemoryBytes,
  stats: {
    inactive_file: stats.memoryInactiveFileBytes,
    total_inactive_file: stats.memoryInactiveFileBytes,
  },
})

function blockAnswer(stats: ContainerStats | undefined): object {
  const none = {
    io_serviced_recursive: null,
    io_queue_recursive: null,
    io_service_time_recursive: null,
    io_wait_time_recursive: null,
    io_merged_recursive: null,
    io_time_recursive: null,
    sectors_recursive: null,
  }
  const entry = (op: string, value: number) => ({ major: 0, minor: 0, op, value })
  return {
    io_service_bytes_recursive: stats
      ? [entry('read', stats.blockReadBytes), entry('write', stats.blockWriteBytes)]
      : null,
    ...none,
  }
}

const networksAnswer = (stats: ContainerStats): object =>
  Object.fromEntries(
    Object.entries(stats.networks).map(([name, counters]) => [
      name,
      {
        rx_bytes: counters.rxBytes,
        rx_packets: counters.rxPackets,
        rx_errors: counters.rxErrors,
        rx_dropped: counters.rxDropped,
        tx_bytes: counters.txBytes,
        tx_packets: counters.txPackets,
        tx_errors: counters.txErrors,
        tx_dropped: counters.txDropped,
      },
    ]),
  )

const NANOS_PER_TICK = 10_000_000

/** The first line of /proc/stat: all time of all CPUs, in nanoseconds. Guest time is in user time already. */
export function hostCpuNanos(procStat: string): number {
  const ticks = /^cpu +(.*)$/m.exec(procStat)?.[1]?.split(/ +/).slice(0, 8).map(Number) ?? []
  return ticks.reduce((sum, value) => sum + value, 0) * NANOS_PER_TICK
}
