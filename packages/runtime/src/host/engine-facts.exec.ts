import { cpus, totalmem } from 'node:os'
import { fault } from '@berth/core'
import type { RuntimeInfo, RuntimeOptions } from '../api.js'
import { cgroupVersion, leftoverControllers } from './cgroups.exec.js'
import { runProgram } from './process.exec.js'

const CRUN_MIN = [1, 15]
const CRUN_FIXED = [1, 30]

export type HostFacts = Omit<RuntimeInfo, 'root' | 'runRoot' | 'id' | 'network' | 'networkIds'>

/** What this machine brings along, asked of its programs. Warnings are logged. @throws host.crun_too_old, host.program_missing */
export async function hostFacts(
  options: RuntimeOptions,
): Promise<{ info: HostFacts; ociRuntimePath: string }> {
  const name = options.ociRuntime ?? 'crun'
  const [runtime, conmon, where] = await Promise.all([
    runProgram(name, ['--version']),
    runProgram('conmon', ['--version']),
    runProgram('sh', ['-c', `command -v ${name}`]),
  ])
  const version = /version (\S+)/.exec(runtime.stdout)?.[1] ?? '0'
  const warnings: string[] = []
  if (name === 'crun') warnings.push(...crunWarnings(version, options.allowOldCrun ?? false))
  const leftovers = leftoverControllers()
  if (leftovers.length > 0)
    warnings.push(
      `cgroup controllers ${leftovers.join(', ')} are left on v2 of a hybrid machine: berth doctor --fix mounts them as v1`,
    )
  for (const warning of warnings) options.logger?.warn({}, warning)
  return {
    ociRuntimePath: where.stdout.trim(),
    info: {
      ociRuntime: { name, version },
      conmonVersion: /version (\S+)/.exec(conmon.stdout)?.[1] ?? '0',
      cgroupVersion: cgroupVersion(),
      cpuNanos: cpus().length * 1e9,
      memoryBytes: totalmem(),
      warnings,
    },
  }
}

const isBelow = (version: string, floor: readonly number[]): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [floorMajor = 0, floorMinor = 0] = floor
  return major < floorMajor || (major === floorMajor && minor < floorMinor)
}

/** reliability.md §0.1: below 1.15 a leaked descriptor is a way out, which our own guards close; so it is refused unless allowed. */
function crunWarnings(version: string, allowOld: boolean): readonly string[] {
  if (isBelow(version, CRUN_MIN)) {
    const text = `crun ${version} is older than 1.15 and has known holes: install a newer one, or set BERTH_ALLOW_OLD_CRUN=1 to rely on Berth's own guards`
    if (!allowOld) throw fault.failedPrecondition('host.crun_too_old', text)
    return [text]
  }
  return isBelow(version, CRUN_FIXED)
    ? [`crun ${version} is older than 1.30, which closes CVE-2026-84042`]
    : []
}
