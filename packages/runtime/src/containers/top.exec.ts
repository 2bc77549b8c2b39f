import type { ProcessTable } from '../api.js'
import { cgroupPids } from '../host/cgroup-processes.exec.js'
import { runProgram } from '../host/process.exec.js'
import { checkPsArguments, parseProcessTable, psFailure } from './process-table.js'

const TIMEOUT_MS = 10_000

/** Asks the host's `ps`, since a container's own may be missing or lie. @throws container.ps_invalid */
export async function processTable(cgroup: string, args: readonly string[]): Promise<ProcessTable> {
  checkPsArguments(args)
  const { code, stdout, stderr } = await runProgram('ps', args.length > 0 ? args : ['-ef'], {
    timeoutMs: TIMEOUT_MS,
  })
  if (code !== 0) throw psFailure(stderr)
  return parseProcessTable(stdout, new Set(cgroupPids(cgroup)))
}
