import { readFileSync } from 'node:fs'
import type { Clock } from '@berth/core'
import { isSignalMinded } from '../host/signal-masks.js'

const YOUNG_MS = 1_000
const LOOK_EVERY_MS = 10

/**
 * Waits until the first process of a young container minds a signal. The kernel drops what the first process of a pid namespace has no handler
 * for yet (pid_namespaces(7)), so that a stop right after a start would wait for its whole timeout. Not longer than the container's first second.
 */
export async function untilMinded(
  pid: number,
  signal: number,
  startedAtMs: number,
  clock: Clock,
): Promise<void> {
  while (clock.nowMs() - startedAtMs < YOUNG_MS) {
    const status = statusOf(pid)
    if (status === undefined || isSignalMinded(status, signal)) return
    await clock.sleep(LOOK_EVERY_MS)
  }
}

function statusOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return undefined
  }
}
