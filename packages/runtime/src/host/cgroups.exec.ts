import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContainerStats, RuntimeInfo } from '../api.js'
import { blockBytesV1, blockBytesV2, networkCounters, statValue } from '../oci/cgroup-stats.js'
import { signalProcess } from './process.exec.js'

const ROOT = '/sys/fs/cgroup'

/** Every hierarchy a container's cgroup may live in: one on v2, one per controller on v1 and hybrid. */
export function cgroupHierarchies(): readonly string[] {
  if (existsSync(`${ROOT}/cgroup.controllers`)) return [ROOT]
  return readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(ROOT, entry.name))
}

export function cgroupVersion(): RuntimeInfo['cgroupVersion'] {
  if (existsSync(`${ROOT}/cgroup.controllers`)) return 'v2'
  return existsSync(`${ROOT}/unified/cgroup.controllers`) ? 'hybrid' : 'v1'
}

/** Controllers left on v2 of a hybrid machine, which crun refuses. */
export function leftoverControllers(): readonly string[] {
  const path = `${ROOT}/unified/cgroup.controllers`
  return existsSync(path) ? readFileSync(path, 'utf8').split(/\s+/).filter(Boolean) : []
}

const readText = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
const readNumber = (path: string): number | undefined => {
  const text = readText(path)
  return text === undefined || text === 'max' || !/^\d+$/.test(text) ? undefined : Number(text)
}

export type CgroupStats = Omit<ContainerStats, 'readAtMs' | 'networks'>

const V1_UNLIMITED = 2 ** 62

/** Where a file of one cgroup is: on v2 all are in one directory, on v1 each controller has a hierarchy of its own. */
export const cgroupFile = (controller: string, path: string, file: string): string =>
  cgroupVersion() === 'v2' ? join(ROOT, path, file) : join(ROOT, controller, path, file)

/** Usage of one cgroup, v2 or v1; what cannot be read counts as nothing. */
export const readCgroupStats = (path: string): CgroupStats =>
  cgroupVersion() === 'v2' ? readV2(path) : readV1(path)

function readV2(path: string): CgroupStats {
  const text = (file: string) => readText(join(ROOT, path, file)) ?? ''
  const cpu = text('cpu.stat')
  const block = blockBytesV2(text('io.stat'))
  return {
    cpuUsageNanos: statValue(cpu, 'usage_usec') * 1000,
    cpuUserNanos: statValue(cpu, 'user_usec') * 1000,
    cpuSystemNanos: statValue(cpu, 'system_usec') * 1000,
    cpuThrottledPeriods: statValue(cpu, 'nr_throttled'),
    cpuThrottledNanos: statValue(cpu, 'throttled_usec') * 1000,
    memoryUsageBytes: readNumber(join(ROOT, path, 'memory.current')) ?? 0,
    memoryInactiveFileBytes: statValue(text('memory.stat'), 'inactive_file'),
    memoryLimitBytes: readNumber(join(ROOT, path, 'memory.max')),
    pids: readNumber(join(ROOT, path, 'pids.current')) ?? 0,
    pidsMax: readNumber(join(ROOT, path, 'pids.max')),
    blockReadBytes: block.read,
    blockWriteBytes: block.written,
  }
}

function readV1(path: string): CgroupStats {
  const at = (controller: string, file: string) => readNumber(join(ROOT, controller, path, file))
  const text = (controller: string, file: string) => readText(join(ROOT, controller, path, file)) ?? ''
  const cpu = text('cpu', 'cpu.stat')
  const block = blockBytesV1(text('blkio', 'blkio.throttle.io_service_bytes_recursive'))
  const limit = at('memory', 'memory.limit_in_bytes')
  return {
    cpuUsageNanos: at('cpuacct', 'cpuacct.usage') ?? 0,
    cpuUserNanos: at('cpuacct', 'cpuacct.usage_user') ?? 0,
    cpuSystemNanos: at('cpuacct', 'cpuacct.usage_sys') ?? 0,
    cpuThrottledPeriods: statValue(cpu, 'nr_throttled'),
    cpuThrottledNanos: statValue(cpu, 'throttled_time'),
    memoryUsageBytes: at('memory', 'memory.usage_in_bytes') ?? 0,
    memoryInactiveFileBytes: statValue(text('memory', 'memory.stat'), 'total_inactive_file'),
    memoryLimitBytes: limit !== undefined && limit < V1_UNLIMITED ? limit : undefined,
    pids: at('pids', 'pids.current') ?? 0,
    pidsMax: at('pids', 'pids.max'),
    blockReadBytes: block.read,
    blockWriteBytes: block.written,
  }
}

/** Of the network namespace a process is in, by interface; empty when it has ended. */
export const readNetworkCounters = (pid: number): ContainerStats['networks'] =>
  networkCounters(readText(`/proc/${pid}/net/dev`) ?? '')

const REMOVE_WITHIN_MS = 2_000
const PAUSES_MS = [0, 1, 1, 2, 2, 4]
const PAUSE_MAX_MS = 10

/**
 * Kills what runs in a cgroup and below it and removes both in every hierarchy, waiting for processes to end. Whether all is gone in time.
 * Idempotent.
 */
export async function removeCgroupTree(path: string, withinMs = REMOVE_WITHIN_MS): Promise<boolean> {
  let trees = cgroupHierarchies().map((hierarchy) => join(hierarchy, path))
  const end = performance.now() + withinMs
  for (let attempt = 0; ; attempt++) {
    const gone = await Promise.all(trees.map(removeTree))
    trees = trees.filter((_, index) => !gone[index])
    if (trees.length === 0) return true
    if (performance.now() > end) return false
    await new Promise((resolve) => setTimeout(resolve, PAUSES_MS[attempt] ?? PAUSE_MAX_MS))
  }
}

/** Whether it is gone. In the thread pool, since the kernel's one lock for all cgroups may be held for long. */
async function removeTree(dir: string): Promise<boolean> {
  if (!existsSync(dir)) return true
  for (const pid of (readText(join(dir, 'cgroup.procs')) ?? '').split('\n').map(Number))
    if (pid > 1) signalProcess(pid, 'SIGKILL')
  for (const entry of readdirSync(dir, { withFileTypes: true }))
    if (entry.isDirectory()) await removeTree(join(dir, entry.name))
  return rmdir(dir).then(
    () => true,
    () => !existsSync(dir),
  )
}

/** Own cgroups that are moved into at no cost, in the order of preference. */
const WARM = ['name=systemd', 'freezer', 'pids']

/** Unless something is in it or below it. */
export function removeEmptyCgroup(path: string): void {
  for (const hierarchy of cgroupHierarchies())
    try {
      rmdirSync(join(hierarchy, path))
    } catch {
      // In use, or not there.
    }
}

/**
 * On v1 the first move into a cgroup after a quiet time waits about 10 ms for a grace period of the kernel (the lock of all thread groups
 * leaves its readers' fast path); those after it do not. This process is "moved" to where it is already, in the thread pool, so that the
 * wait passes while the monitor starts, whose OCI runtime would wait for it otherwise. On v2 the runtime makes processes in their cgroup.
 */
export async function warmCgroupMoves(): Promise<void> {
  const version = cgroupVersion()
  if (version === 'v2') return
  const lines = (readText('/proc/self/cgroup') ?? '').split('\n').map((line) => line.split(':'))
  for (const controller of WARM) {
    const path = lines.find(([, name]) => name === controller)?.[2]
    const file = path && join(ROOT, controller.replace('name=', ''), path, 'cgroup.procs')
    if (file && existsSync(file)) return writeFile(file, '0').catch(() => {})
  }
}
