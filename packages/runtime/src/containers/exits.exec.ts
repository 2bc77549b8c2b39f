import { existsSync, readFileSync, statSync, watch } from 'node:fs'
import type { ContainerId } from '@berth/core'
import type { ContainerExit } from '../api.js'
import { processStartTime, signalProcess } from '../host/process.exec.js'
import type { ContainerRow } from './containers.store.js'
import type { ContainerPaths } from './paths.js'

const REASONS = { monitor_lost: 'its monitor was killed', host_rebooted: 'the host was rebooted' } as const
const SIGNAL_BASE = 128
const SWEEP_MS = 1_000

/** Whether the container's init is the very process that was started, in this boot of the host. */
export function isAlive(row: ContainerRow, bootId: string): boolean {
  return (
    row.process !== undefined &&
    row.process.bootId === bootId &&
    processStartTime(row.process.pid) === row.process.startTime
  )
}

/**
 * The end of a running container: as its monitor wrote it down, or by what is known when the monitor is gone too. Undefined while it runs.
 * Pids are believed only within one boot: after it they are other processes' numbers.
 */
export function findExit(
  row: ContainerRow,
  paths: ContainerPaths,
  bootId: string,
): { readonly exit: ContainerExit; readonly at: Date } | undefined {
  if (hasWritten(paths)) return { exit: readExit(paths), at: statSync(paths.exitFile).mtime }
  if (row.process?.bootId !== bootId) return unseen('host_rebooted')
  if (isMonitorAlive(paths)) return undefined
  if (isAlive(row, bootId)) signalProcess(row.process.pid, 'SIGKILL')
  if (hasWritten(paths)) return { exit: readExit(paths), at: statSync(paths.exitFile).mtime }
  return unseen('monitor_lost')
}

const unseen = (reason: keyof typeof REASONS) => ({
  exit: { code: 255, oomKilled: false, reason, message: REASONS[reason] },
  at: new Date(),
})

const hasWritten = (paths: ContainerPaths): boolean =>
  existsSync(paths.exitFile) && readFileSync(paths.exitFile, 'utf8').trim() !== ''

function isMonitorAlive(paths: ContainerPaths): boolean {
  const pid = existsSync(paths.conmonPidFile) ? Number(readFileSync(paths.conmonPidFile, 'utf8')) : 0
  return pid > 1 && processStartTime(pid) !== undefined
}

function readExit(paths: ContainerPaths): ContainerExit {
  const code = Number(readFileSync(paths.exitFile, 'utf8').trim())
  const oomKilled = existsSync(`${paths.bundle}/oom`)
  return { code, oomKilled, ...signalOf(code) }
}

const signalOf = (code: number) =>
  code > SIGNAL_BASE && code < SIGNAL_BASE + 65 ? { signal: code - SIGNAL_BASE } : {}

/** Follows exit files until closed; a sweep each second covers a monitor that died without writing one. */
export function watchExits(
  exitDir: string,
  onExit: (id: ContainerId) => void,
  sweep: () => void,
): { close(): void } {
  const watcher = watch(exitDir, (_event, name) => {
    if (name && /^[0-9a-f]{64}$/.test(name)) onExit(name as ContainerId)
  })
  const timer = setInterval(sweep, SWEEP_MS)
  timer.unref()
  return {
    close: () => {
      watcher.close()
      clearInterval(timer)
    },
  }
}
