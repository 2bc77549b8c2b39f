import type { ServiceView, TaskView } from '../../cluster-view/view.js'

const BACKOFF_MAX_MS = 60_000
const STABLE_MS = 10_000

/** How the slot's newest task of the present release ended by itself; undefined when it did not, or we stopped or lost it. */
export function lastEnd(service: ServiceView, all: readonly TaskView[], slot: number): TaskView | undefined {
  const [last] = all
    .filter((task) => task.slot === slot && task.releaseId === service.releaseId)
    .sort((a, b) => b.createdAtMs - a.createdAtMs || b.stateSinceMs - a.stateSinceMs)
  return last && (last.state === 'complete' || isFailure(last)) ? last : undefined
}

/** When the slot's next task may start; undefined when the policy says that it stays empty. */
export function nextStartMs(
  service: ServiceView,
  all: readonly TaskView[],
  slot: number,
  nowMs: number,
): number | undefined {
  const last = lastEnd(service, all, slot)
  const delayMs = last === undefined ? 0 : restartDelayMs(service, all, last, nowMs)
  return delayMs === undefined ? undefined : nowMs + delayMs
}

/**
 * How long a slot waits before its next task; undefined when the policy says it stays empty. Failures in a row double the delay, up to a
 * minute or, when the user asked for more than that, what the user asked for.
 */
export function restartDelayMs(
  service: ServiceView,
  all: readonly TaskView[],
  last: TaskView,
  nowMs: number,
): number | undefined {
  const { condition, delayMs, maxAttempts, windowMs } = service.spec.restart
  if (condition === 'none') return undefined
  if (condition === 'on-failure' && last.state === 'complete') return undefined
  const since = windowMs > 0 ? nowMs - windowMs : 0
  const failures = all.filter(
    (task) =>
      task.slot === last.slot &&
      task.releaseId === last.releaseId &&
      isFailure(task) &&
      task.stateSinceMs >= since,
  )
  if (maxAttempts > 0 && failures.length > maxAttempts) return undefined
  const inARow = failures.filter(
    (task) => task.stateSinceMs - Math.max(task.createdAtMs, task.notBeforeMs) < STABLE_MS,
  ).length
  return Math.max(delayMs, Math.min(BACKOFF_MAX_MS, delayMs * 2 ** Math.max(0, inARow - 1)))
}

export const isFailure = (task: TaskView): boolean => task.state === 'failed' || task.state === 'rejected'
