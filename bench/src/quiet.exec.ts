import { readFileSync } from 'node:fs'
import { systemClock } from '@berth/core'

const WINDOW_MS = 100
const IDLE_SHARE = 0.9
const PATIENCE_MS = 10_000

/**
 * Waits until the processors have been idle for a moment, at most ten seconds: what the engine measured before still has to do (podman starts a program that
 * cleans up after each exec) is not to be in the figures of the next one.
 */
export async function untilQuiet(signal: AbortSignal): Promise<void> {
  const deadline = systemClock.monotonicMs() + PATIENCE_MS
  while (systemClock.monotonicMs() < deadline) {
    const before = processorTime()
    await systemClock.sleep(WINDOW_MS, signal)
    const after = processorTime()
    if (after.idle - before.idle >= IDLE_SHARE * (after.all - before.all)) return
  }
}

/** In ticks, of all processors since the start. proc(5): user nice system idle iowait irq softirq steal. */
function processorTime(): { readonly idle: number; readonly all: number } {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1)
  const ticks = line.split(/\s+/).slice(1, 9).map(Number)
  return { idle: (ticks[3] ?? 0) + (ticks[4] ?? 0), all: ticks.reduce((sum, one) => sum + one, 0) }
}
