import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs'
import { run, succeeds } from './command.exec.js'

const V1_ROOT = '/sys/fs/cgroup'

/** On a machine with cgroup v1 and v2 side by side: the controllers left on v2, which crun refuses ("hybrid mode not supported"). */
export function missingControllers(): readonly string[] {
  const mounts = readFileSync('/proc/mounts', 'utf8')
  if (!/ cgroup .*\bmemory\b/.test(mounts) || !existsSync(`${V1_ROOT}/unified/cgroup.controllers`)) return []
  return readFileSync(`${V1_ROOT}/unified/cgroup.controllers`, 'utf8').split(/\s+/).filter(Boolean)
}

/** Mounts them as v1 and says which it could. */
export async function mountControllers(names: readonly string[]): Promise<readonly string[]> {
  const mounted: string[] = []
  for (const name of names) {
    const target = `${V1_ROOT}/${name}`
    mkdirSync(target, { recursive: true })
    if (await succeeds('mount', ['-t', 'cgroup', '-o', name, 'cgroup', target])) mounted.push(name)
  }
  return mounted
}

/** Takes away what `mountControllers` brought. Idempotent. */
export async function unmountControllers(names: readonly string[]): Promise<void> {
  for (const name of names) {
    const target = `${V1_ROOT}/${name}`
    if (!existsSync(target)) continue
    await run('umount', [target]).catch(() => '')
    try {
      rmdirSync(target)
    } catch {
      // Still mounted or not ours: nothing more to take away.
    }
  }
}
