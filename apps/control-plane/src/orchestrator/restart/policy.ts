import type { ServiceView, TaskView } from '../../cluster-view/view.js'

const BACKOFF_MAX_MS = 60_000
const STABLE_MS = 10_000

/** How long a slot waits before its next task; undefined when the policy says it stays empty. Failures in a row double the delay, up to a minute. */
export function restartDelayMs(service: ServiceView, all: readonly TaskView[], last: TaskView, nowMs: number): number | undefined {
  const { condition, delayMs, maxAttempts, windowMs } = service.spec.restart
  if (condition === 'none') return undefined
  if (condition === 'on-failure' && last.state === 'complete') return undefined
  const since = windowMs > 0 ? nowMs - windowMs : 0
  const failures = all.filter((task) => task.slot === last.slot && task.releaseId === last.releaseId && isFailure(task) && task.stateSinceMs >= since)
  if (maxAttempts > 0 && failures.length > maxAttempts) return undefined
  const inARow = failures.filter((task) => task.stateSinceMs - task.createdAtMs < STABLE_MS).length
  return Math.min(BACKOFF_MAX_MS, delayMs * 2 ** Math.max(0, inARow - 1))
}

export const isFailure = (task: TaskView): boolean => task.state === 'failed' || task.state === 'rejected'
