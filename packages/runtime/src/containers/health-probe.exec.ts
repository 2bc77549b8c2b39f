import { existsSync, readFileSync, rmSync } from 'node:fs'
import { Fault } from '@berth/core'
import { runProgram, signalProcess } from '../host/process.exec.js'
import type { Probe } from './health.loop.js'
import { containerPaths } from './paths.js'

export interface ProbeDeps {
  readonly root: string
  readonly runRoot: string
  readonly ociRuntimePath: string
}

let count = 0

/** Probes through the OCI runtime's own `exec`. */
export function runtimeProbe(deps: ProbeDeps): Probe {
  return async (row, { argv, timeoutMs, outputMaxBytes }) => {
    const { bundle } = containerPaths(deps.root, deps.runRoot, row.id)
    count += 1
    const pidFile = `${bundle}/probe.${count}.pid`
    const runtime = [`--root=${deps.runRoot}/oci`, 'exec', '--pid-file', pidFile, row.id, ...argv]
    try {
      const { code, stdout, stderr } = await runProgram(deps.ociRuntimePath, runtime, { timeoutMs })
      return { exitCode: code, output: (stdout + stderr).slice(0, outputMaxBytes) }
    } catch (error) {
      if (!Fault.is(error, 'host.program_hung')) throw error
      killProbe(pidFile)
      return { exitCode: -1, output: `Health check exceeded timeout (${timeoutMs}ms)` }
    } finally {
      rmSync(pidFile, { force: true })
    }
  }
}

/** The program lives on in the container when its runtime has been killed. */
function killProbe(pidFile: string): void {
  const pid = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0
  if (pid > 1) signalProcess(pid, 'SIGKILL')
}
