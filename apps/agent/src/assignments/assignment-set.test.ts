import type { Assignment } from '@berth/proto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { aFullSet, anAssignment, anIncrement } from '../testing/builders.js'
import { type AssignmentSet, assignmentSet, type Known, receive } from './assignment-set.js'

const FRESH: Known = { epoch: 1n, sequence: 0n, assignments: new Map() }
const task = (taskId: string, slot = 1): Assignment => anAssignment({ taskId, slot })

/** Sets over few ids, so that upserts meet what is there. */
const sets = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...'abcdefgh'), fc.nat(3)), { selector: ([id]) => id, maxLength: 8 })
  .map((pairs) => assignmentSet(pairs.map(([id, slot]) => task(id, slot))))

/** The increment a control plane that keeps one set and wants another would send. */
function increment(from: AssignmentSet, to: AssignmentSet, sequence: bigint) {
  const upserts = [...to.values()].filter((one) => from.get(one.taskId)?.slot !== one.slot)
  return anIncrement(
    upserts,
    [...from.keys()].filter((id) => !to.has(id)),
    { sequence },
  )
}

const sorted = (set: AssignmentSet) => [...set.values()].sort((a, b) => (a.taskId < b.taskId ? -1 : 1))

test('increments applied to a full set give the set that a full set would have given', () => {
  fc.assert(
    fc.property(fc.array(sets, { minLength: 1, maxLength: 10 }), (history) => {
      const [first, ...rest] = history
      let known: Known = FRESH
      let told: AssignmentSet = first ?? new Map()
      const take = (message: Parameters<typeof receive>[1]) => {
        const received = receive(known, message)
        if (received.kind !== 'set') throw new Error(received.why)
        known = { epoch: message.epoch, sequence: message.sequence, assignments: received.assignments }
      }
      take(aFullSet([...told.values()]))
      for (const next of rest) {
        take(increment(told, next, known.sequence + 1n))
        told = next
      }
      expect(sorted(known.assignments)).toEqual(sorted(history.at(-1) ?? new Map()))
    }),
  )
})

test('the same increment twice changes nothing more', () => {
  fc.assert(
    fc.property(sets, sets, (from, to) => {
      const known = { epoch: 1n, sequence: 1n, assignments: from }
      const message = increment(from, to, 2n)
      const once = receive(known, message)
      if (once.kind !== 'set') throw new Error(once.why)
      expect(receive({ ...known, assignments: once.assignments }, message)).toEqual(once)
    }),
  )
})

test('a set that was handed out is never changed afterwards', () => {
  const before = assignmentSet([task('a')])
  receive({ epoch: 1n, sequence: 1n, assignments: before }, anIncrement([task('b')], ['a']))
  expect([...before.keys()]).toEqual(['a'])
})

test('a task that is removed and told anew in one increment is removed', () => {
  const received = receive(
    { epoch: 1n, sequence: 1n, assignments: assignmentSet([task('a')]) },
    anIncrement([task('a', 2)], ['a']),
  )
  expect(received).toEqual({ kind: 'set', assignments: new Map() })
})

test('a leader of an older epoch is not obeyed, one of the same or a newer epoch is', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      (seen, comes) => {
        const received = receive({ ...FRESH, epoch: seen }, aFullSet([], { epoch: comes }))
        expect(received.kind).toBe(comes < seen ? 'stale' : 'set')
      },
    ),
  )
})

test('every sequence number but the next one is a gap', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 100n }), fc.bigInt({ min: 0n, max: 200n }), (last, comes) => {
      const received = receive({ ...FRESH, sequence: last }, anIncrement([], [], { sequence: comes }))
      expect(received.kind).toBe(comes === last + 1n ? 'set' : 'gap')
    }),
  )
})

test('an increment before the full set is a gap, even with the right number', () => {
  expect(receive(FRESH, anIncrement([task('a')], [], { sequence: 1n })).kind).toBe('gap')
})

test('a message without a body is a gap', () => {
  expect(receive(FRESH, { ...aFullSet([]), body: undefined }).kind).toBe('gap')
})

test('a second full set of one session replaces the first', () => {
  const known = { epoch: 1n, sequence: 1n, assignments: assignmentSet([task('a')]) }
  const received = receive(known, aFullSet([task('b')], { sequence: 2n }))
  expect(received.kind === 'set' && [...received.assignments.keys()]).toEqual(['b'])
})
