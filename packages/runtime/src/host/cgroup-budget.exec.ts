import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cgroupHierarchies, cgroupVersion } from './cgroups.exec.js'

/** What all processes below a cgroup have together. Absent: no limit of its own. */
export interface CgroupBudget {
  readonly memoryBytes?: number
  /** Billionths of a CPU. */
  readonly cpuNanos?: number
  /** Weight against its siblings, in docker's shares (1,024 is a container's). */
  readonly cpuShares?: number
}

const ROOT = '/sys/fs/cgroup'
const PERIOD_US = 100_000
const CONTROLLERS = ['cpu', 'memory', 'pids', 'io', 'cpuset']

/** Makes a cgroup that others are put below, in every hierarchy, and limits it. Idempotent. */
export function makeBudget(path: string, budget: CgroupBudget): void {
  if (cgroupVersion() === 'v2') return makeV2(path, budget)
  for (const hierarchy of cgroupHierarchies()) mkdirSync(join(hierarchy, path), { recursive: true })
  const { memoryBytes, cpuNanos, cpuShares } = budget
  set(join(ROOT, 'cpu', path, 'cpu.shares'), cpuShares)
  set(join(ROOT, 'cpu', path, 'cpu.cfs_period_us'), cpuNanos && PERIOD_US)
  set(join(ROOT, 'cpu', path, 'cpu.cfs_quota_us'), cpuNanos && quota(cpuNanos))
  set(join(ROOT, 'memory', path, 'memory.limit_in_bytes'), memoryBytes)
  set(join(ROOT, 'memory', path, 'memory.memsw.limit_in_bytes'), memoryBytes)
}

function makeV2(path: string, { memoryBytes, cpuNanos, cpuShares }: CgroupBudget): void {
  const dir = join(ROOT, path)
  mkdirSync(dir, { recursive: true })
  for (const above of ancestors(dir))
    for (const name of CONTROLLERS) set(join(above, 'cgroup.subtree_control'), `+${name}`)
  set(join(dir, 'cpu.weight'), cpuShares && weightOf(cpuShares))
  set(join(dir, 'cpu.max'), cpuNanos && `${quota(cpuNanos)} ${PERIOD_US}`)
  set(join(dir, 'memory.max'), memoryBytes)
  set(join(dir, 'memory.swap.max'), memoryBytes && 0)
}

const quota = (cpuNanos: number): number => Math.max(1_000, Math.round((cpuNanos / 1e9) * PERIOD_US))

/** The OCI runtimes' translation from 2..262144 to 1..10000. */
const weightOf = (shares: number): number => Math.round(1 + ((Math.max(2, shares) - 2) * 9_999) / 262_142)

/** From the root down, the directory itself included: what is below it must have the controllers too. */
function ancestors(dir: string): readonly string[] {
  return dir === ROOT ? [ROOT] : [...ancestors(dirname(dir)), dir]
}

/** A controller that the host does not have limits nothing. */
function set(file: string, value: number | string | undefined): void {
  if (value === undefined || !existsSync(file)) return
  try {
    writeFileSync(file, String(value), { flag: 'r+' })
  } catch (error) {
    if (
      !['EINVAL', 'ENOENT', 'EBUSY', 'ENOTSUP', 'EOPNOTSUPP'].includes(
        String((error as NodeJS.ErrnoException).code),
      )
    )
      throw error
  }
}
