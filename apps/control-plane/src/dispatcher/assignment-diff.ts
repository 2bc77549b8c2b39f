import type { Assignment, Increment } from '@berth/proto'

const text = (assignment: Assignment): string =>
  JSON.stringify(assignment, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value))

/** What changed for a node since what it was last sent; undefined when nothing did. Pure. */
export function diffAssignments(
  before: ReadonlyMap<string, Assignment>,
  after: readonly Assignment[],
): Increment | undefined {
  const next = new Set(after.map((assignment) => assignment.taskId))
  const upserts = after.filter((assignment) => {
    const known = before.get(assignment.taskId)
    return known === undefined || text(known) !== text(assignment)
  })
  const removedTaskIds = [...before.keys()].filter((id) => !next.has(id))
  return upserts.length + removedTaskIds.length === 0 ? undefined : { upserts, removedTaskIds }
}
