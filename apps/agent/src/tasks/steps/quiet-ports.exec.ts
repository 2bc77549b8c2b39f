import { readFileSync } from 'node:fs'
import type { Clock } from '@berth/core'
import { unfinishedConnections } from './open-connections.js'

const LOOK_EVERY_MS = 20
/** A connection that was led here by the last rules may still be on its way. */
const QUIET_MS = 100

export interface BusyPorts {
  readonly pid: number
  /** TCP, as the container knows them. */
  readonly ports: readonly number[]
  /** Whoever keeps a connection open without using it is waited for no longer. */
  readonly withinMs: number
}

/** Waits until nobody has had a connection to these ports for a moment, or the time is over. Rejects when the signal aborts. */
export async function untilQuiet(
  { pid, ports, withinMs }: BusyPorts,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  if (ports.length === 0) return
  const wanted = new Set(ports)
  const untilMs = clock.monotonicMs() + withinMs
  let quietSinceMs = clock.monotonicMs()
  for (
    let nowMs = quietSinceMs;
    nowMs < untilMs && nowMs - quietSinceMs < QUIET_MS;
    nowMs = clock.monotonicMs()
  ) {
    await clock.sleep(LOOK_EVERY_MS, signal)
    if (isBusy(pid, wanted)) quietSinceMs = clock.monotonicMs()
  }
}

const isBusy = (pid: number, ports: ReadonlySet<number>): boolean =>
  ['tcp', 'tcp6'].some((name) => unfinishedConnections(tableOf(pid, name), ports) > 0)

/** A process that ended has none. */
function tableOf(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/net/${name}`, 'utf8')
  } catch {
    return ''
  }
}
