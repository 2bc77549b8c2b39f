import { systemClock } from '@berth/core'
import { run } from './command.exec.js'
import type { Sample } from './contender.js'

export interface CommandLine {
  readonly program: string
  /** Before the sub-command: where its state or its daemon is. */
  readonly global: readonly string[]
  /** After `run`: network, cgroup parent and the image last. */
  readonly container: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

/** `run -d` returns when the process was started; `run --rm` when it has exited and is gone. Two containers, so neither slows the other. */
export async function measureByCommandLine(
  line: CommandLine,
  name: string,
  signal: AbortSignal,
): Promise<Sample> {
  const options = { signal, ...(line.env ? { env: line.env } : {}) }
  const timed = async (args: readonly string[]): Promise<number> => {
    const began = systemClock.monotonicMs()
    await run(line.program, [...line.global, ...args], options)
    return systemClock.monotonicMs() - began
  }
  const startedMs = await timed(['run', '--detach', '--name', name, ...line.container])
  await run(line.program, [...line.global, 'rm', '--force', name], options)
  const removedMs = await timed(['run', '--rm', ...line.container])
  return { startedMs, removedMs }
}
