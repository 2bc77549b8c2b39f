import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { fault } from '@berth/core'

const execute = promisify(execFile)

/** Runs a program to its end. @throws lab.command_failed with what it printed */
export async function run(
  file: string,
  args: readonly string[],
  options: { input?: string; env?: Record<string, string>; timeoutMs?: number } = {},
): Promise<string> {
  const pending = execute(file, [...args], {
    timeout: options.timeoutMs ?? 60_000,
    maxBuffer: 1 << 26,
    env: { ...process.env, ...options.env },
  })
  if (options.input !== undefined) pending.child.stdin?.end(options.input)
  try {
    return (await pending).stdout
  } catch (cause) {
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : String(cause)
    throw fault.internal('lab.command_failed', `${file} ${args.join(' ')}: ${said}`, { cause })
  }
}

/** True when the program ends with 0. */
export const succeeds = (file: string, args: readonly string[]): Promise<boolean> =>
  run(file, args).then(
    () => true,
    () => false,
  )
