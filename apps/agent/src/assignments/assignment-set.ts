import type { Assignment, SessionResponse } from '@berth/proto'

export type AssignmentSet = ReadonlyMap<string, Assignment>

export const assignmentSet = (assignments: readonly Assignment[]): AssignmentSet =>
  new Map(assignments.map((assignment) => [assignment.taskId, assignment]))

/** What a message of the session means. `gap` and `stale` end the session: the next one starts with a full set again. */
export type Received =
  | { readonly kind: 'set'; readonly assignments: AssignmentSet }
  | { readonly kind: 'stale'; readonly why: string }
  | { readonly kind: 'gap'; readonly why: string }

export interface Known {
  readonly epoch: bigint
  /** Sequence number of the last message of this session; 0 before the first. */
  readonly sequence: bigint
  readonly assignments: AssignmentSet
}

/** Applies a full set or an increment. A leader of an older epoch is not obeyed (docs/sync-protocol.md). */
export function receive(known: Known, message: SessionResponse): Received {
  if (message.epoch < known.epoch)
    return { kind: 'stale', why: `assignments of epoch ${message.epoch} after epoch ${known.epoch}` }
  if (message.sequence !== known.sequence + 1n)
    return { kind: 'gap', why: `message ${message.sequence} after ${known.sequence}` }
  const { body } = message
  if (body?.$case === 'full') return { kind: 'set', assignments: assignmentSet(body.value.assignments) }
  if (body?.$case !== 'increment' || known.sequence === 0n)
    return { kind: 'gap', why: 'an increment before the full set' }
  const next = new Map(known.assignments)
  for (const assignment of body.value.upserts) next.set(assignment.taskId, assignment)
  for (const taskId of body.value.removedTaskIds) next.delete(taskId)
  return { kind: 'set', assignments: next }
}
