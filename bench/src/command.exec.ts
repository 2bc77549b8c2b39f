import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fault } from '@berth/core'

/** Nothing measured here takes a second; what takes this long hangs. */
const DEADLINE_MS = 60_000

/** Runs a program to its end. @throws bench.command_failed with the end of its stderr */
export function run(
  program: string,
  args: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly signal?: AbortSignal } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      program,
      [...args],
      { ...options, timeout: DEADLINE_MS, encoding: 'utf8' },
      (error, stdout, stderr) => {
        if (!error) return resolve(stdout)
        const tail = stderr.trim().slice(-500)
        reject(
          fault.internal(
            'bench.command_failed',
            `${program} ${args.join(' ')} failed: ${tail || error.message}`,
            { cause: error },
          ),
        )
      },
    )
  })
}

export function findProgram(name: string): string | undefined {
  const dirs = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return dirs.map((dir) => join(dir, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
