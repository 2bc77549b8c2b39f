import { spawn } from 'node:child_process'

/** A process that runs a loop of renames as fast as it can, until it is stopped: whoever looks twice sees two things. */
export function startSwapper(script: string, ...args: readonly string[]): { stop(): Promise<void> } {
  const loop = `const fs = require('node:fs'); const args = process.argv.slice(1); for (;;) { ${script} }`
  const child = spawn(process.execPath, ['-e', loop, ...args], { stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  return {
    stop: () => {
      child.kill('SIGKILL')
      return ended
    },
  }
}
