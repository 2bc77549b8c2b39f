import { isTaskState, mayMove } from '@berth/domain'
import type { TaskStatus } from '@berth/proto'

/** Whether a newer status may follow: the state goes up, or repeats with other details. */
export function mayReplace(before: TaskStatus | undefined, after: TaskStatus): boolean {
  if (!before) return true
  if (!isTaskState(before.state) || !isTaskState(after.state) || !mayMove(before.state, after.state))
    return false
  const { observedAtMs: _then, ...old } = before
  const { observedAtMs: _now, ...next } = after
  return before.state !== after.state || JSON.stringify(old) !== JSON.stringify(next)
}
