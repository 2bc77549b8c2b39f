import { existsSync, readFileSync, statSync, watch } from 'node:fs'
import type { ContainerId } from '@berth/core'
import type { ContainerExit } from '../api.js'
import { processStartTime, signalProcess } from '../host/process.exec.js'
import type { ContainerRow } from './containers.store.js'
import type { ContainerPaths } from './paths.js'

const REASONS = { monitor_lost: 'its monitor was killed', host_rebooted: 'the host was rebooted' } as const
const SIGNAL_BASE = 128
const SWEEP_MS = 1_000
/** Each container is looked at every so many seconds. */
const SWEEP_PARTS = 4

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
  if (isWatched(paths)) return undefined
  if (isAlive(row, bootId)) signalProcess(row.process.pid, 'SIGKILL')
  if (hasWritten(paths)) return { exit: readExit(paths), at: statSync(paths.exitFile).mtime }
  return unseen('monitor_lost')
}

const unseen = (reason: keyof typeof REASONS) => ({
  exit: { code: 255, oomKilled: false, reason, message: REASONS[reason] },
  at: new Date(),
})

/** An empty or torn file says nothing. */
const hasWritten = (paths: ContainerPaths): boolean => /^\d{1,3}$/.test(textOf(paths.exitFile))

const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}

/** Whether its monitor lives. */
export function isWatched(paths: ContainerPaths): boolean {
  const pid = Number(textOf(paths.conmonPidFile))
  return pid > 1 && processStartTime(pid) !== undefined
}

function readExit(paths: ContainerPaths): ContainerExit {
  const code = Number(textOf(paths.exitFile))
  const oomKilled = existsSync(`${paths.bundle}/oom`)
  return { code, oomKilled, ...signalOf(code) }
}

const signalOf = (code: number) =>
  code > SIGNAL_BASE && code < SIGNAL_BASE + 65 ? { signal: code - SIGNAL_BASE } : {}

/** Follows exit files until closed; `sweep` comes each second with a part of all containers to look at, for monitors that died without writing one. */
export function watchExits(
  exitDir: string,
  onExit: (id: ContainerId) => void,
  sweep: (round: { readonly part: number; readonly parts: number }) => void,
): { close(): void } {
  const watcher = watch(exitDir, (_event, name) => {
    if (name && /^[0-9a-f]{64}$/.test(name)) onExit(name as ContainerId)
  })
  let part = 0
  const timer = setInterval(() => {
    part = (part + 1) % SWEEP_PARTS
    sweep({ part, parts: SWEEP_PARTS })
  }, SWEEP_MS)
  timer.unref()
  return {
    close: () => {
      watcher.close()
      clearInterval(timer)
    },
  }
}
