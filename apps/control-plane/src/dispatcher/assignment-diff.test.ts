import { Assignment, DesiredState } from '@berth/proto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { diffAssignments } from './assignment-diff.js'

const assignment = fc.record({
  taskId: fc.constantFrom('t1', 't2', 't3', 't4', 't5', 't6'),
  desired: fc.constantFrom(DesiredState.DESIRED_STATE_RUNNING, DesiredState.DESIRED_STATE_SHUTDOWN),
  env: fc.array(fc.constantFrom('A=1', 'B=2'), { maxLength: 2 }),
  memory: fc.bigInt({ min: 0n, max: 3n }),
})
const set = fc.uniqueArray(assignment, { selector: (one) => one.taskId }).map((items) =>
  items.map((one) =>
    Assignment.fromPartial({
      taskId: one.taskId,
      desiredState: one.desired,
      container: { env: one.env, memoryLimitBytes: one.memory },
    }),
  ),
)
const byId = (items: readonly Assignment[]) => new Map(items.map((item) => [item.taskId, item]))

/** What an agent does with an increment. */
function applied(before: readonly Assignment[], change: ReturnType<typeof diffAssignments>) {
  const held = byId(before)
  for (const item of change?.upserts ?? []) held.set(item.taskId, item)
  for (const id of change?.removedTaskIds ?? []) held.delete(id)
  return held
}

test('an agent that applies the difference to the old set has the new set', () => {
  fc.assert(
    fc.property(set, set, (before, after) => {
      expect(applied(before, diffAssignments(byId(before), after))).toEqual(byId(after))
    }),
  )
})

test('applying it twice is the same as once', () => {
  fc.assert(
    fc.property(set, set, (before, after) => {
      const change = diffAssignments(byId(before), after)
      expect(applied([...applied(before, change).values()], change)).toEqual(byId(after))
    }),
  )
})

test('nothing is sent when nothing changed, and never a task that did not', () => {
  fc.assert(
    fc.property(set, set, (before, after) => {
      expect(diffAssignments(byId(before), before)).toBeUndefined()
      const change = diffAssignments(byId(before), after)
      for (const item of change?.upserts ?? []) expect(byId(before).get(item.taskId)).not.toEqual(item)
      for (const id of change?.removedTaskIds ?? []) expect(byId(after).has(id)).toBe(false)
    }),
  )
})
