import type { ContainerId } from '@berth/core'
import type { ExecSpec } from '../api.js'
import { processGroup, signalProcess } from '../host/process.exec.js'
import type { ContainerExecs } from './container-execs.exec.js'

export interface Probe extends Pick<ExecSpec, 'argv' | 'env' | 'user' | 'workdir'> {
  /** After which it is killed. */
  readonly timeoutMs: number
  /** What comes after so much output is dropped. */
  readonly outputMaxBytes: number
}

export interface ProbeResult {
  /** -1 when it did not end in time. */
  readonly exitCode: number
  readonly output: string
}

/**
 * Runs a program in a container to its end, with both its streams as one text, and tells nobody. @throws exec.start_failed, exec.too_many,
 * container.not_running, container.paused
 */
export async function probe(
  execs: ContainerExecs,
  containerId: ContainerId,
  { timeoutMs, outputMaxBytes, ...spec }: Probe,
): Promise<ProbeResult> {
  const { id } = await execs.add(containerId, spec, true)
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), timeoutMs)
  try {
    const attachment = await execs.start(id, { signal: late.signal })
    if (late.signal.aborted) await kill(execs, id)
    late.signal.addEventListener('abort', () => void kill(execs, id))
    const parts: Uint8Array[] = []
    let room = outputMaxBytes
    for await (const { bytes } of attachment?.output ?? []) {
      parts.push(bytes.subarray(0, room))
      room -= Math.min(room, bytes.length)
    }
    const code = await execs.wait(id)
    const output = Buffer.concat(parts).toString('utf8')
    return { exitCode: late.signal.aborted ? -1 : code, output }
  } finally {
    clearTimeout(timer)
    execs.drop(id)
  }
}

/** With its group, which the runtime made for it: a shell's children too. */
async function kill(execs: ContainerExecs, id: string): Promise<void> {
  const { pid } = await execs.inspect(id)
  if (pid === undefined) return
  const group = processGroup(pid)
  if (group !== undefined && group > 1 && group !== processGroup(process.pid))
    signalProcess(-group, 'SIGKILL')
  signalProcess(pid, 'SIGKILL')
}
