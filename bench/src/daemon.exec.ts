import { spawn } from 'node:child_process'
import { openSync, readFileSync } from 'node:fs'
import { fault, systemClock } from '@berth/core'
import { type EngineApi, ping } from './engine-api.client.js'

export interface Daemon {
  readonly pid: number
  /** SIGTERM, then SIGKILL after ten seconds. Idempotent. */
  close(): Promise<void>
}

const READY_MS = 20_000
const LOG_END = 300

/** Starts a daemon and waits until it answers on its socket. @throws bench.daemon_failed naming its log */
export async function startDaemon(
  program: string,
  args: readonly string[],
  api: EngineApi,
  log: string,
  env: NodeJS.ProcessEnv,
): Promise<Daemon> {
  const out = openSync(log, 'a')
  const child = spawn(program, [...args], { stdio: ['ignore', out, out], env })
  const over = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const close = async () => {
    child.kill('SIGTERM')
    const killing = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await over
    clearTimeout(killing)
  }
  const deadline = systemClock.monotonicMs() + READY_MS
  while (systemClock.monotonicMs() < deadline && child.exitCode === null) {
    if (await answers(api)) return { pid: child.pid ?? 0, close }
    await systemClock.sleep(50)
  }
  await close()
  throw fault.unavailable(
    'bench.daemon_failed',
    `${program} does not answer on ${api.socket}; the end of ${log}: ${readFileSync(log, 'utf8').trim().slice(-LOG_END)}`,
  )
}

export async function answers(api: EngineApi): Promise<boolean> {
  try {
    await ping(api, AbortSignal.timeout(2_000))
    return true
  } catch {
    return false
  }
}
