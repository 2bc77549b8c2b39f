import { TASK_STATES, type TaskState } from '@berth/domain'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { aStatus } from '../testing/builders.js'
import { mayReplace } from './status.js'

test('the first status is always taken', () => expect(mayReplace(undefined, aStatus())).toBe(true))

test('the same again at another time says nothing new', () => {
  for (const state of TASK_STATES)
    expect(mayReplace(aStatus({ state, observedAtMs: 1n }), aStatus({ state, observedAtMs: 2n }))).toBe(false)
})

test.each([
  { message: 'pulling' },
  { restartCount: 1 },
  { pid: 7 },
  { ipAddress: '10.0.0.3' },
  { containerId: 'other' },
  { exitCode: 0 },
])('other details of the same state are news: %j', (more) => {
  expect(mayReplace(aStatus(), aStatus(more))).toBe(true)
})

test('no order of reports takes a task down, or from one end to another', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...TASK_STATES), { minLength: 1, maxLength: 20 }), (states) => {
      const taken: TaskState[] = []
      let latest = aStatus({ state: 'new' })
      for (const state of states) {
        const next = aStatus({ state })
        if (!mayReplace(latest, next)) continue
        latest = next
        taken.push(state)
      }
      const ranks = taken.map((state) => TASK_STATES.indexOf(state))
      expect(ranks).toEqual([...ranks].sort((a, b) => a - b))
      expect(ranks.filter((rank) => rank >= TASK_STATES.indexOf('complete')).length).toBeLessThanOrEqual(1)
    }),
  )
})

test('a state nobody knows is not taken', () => {
  expect(mayReplace(aStatus(), aStatus({ state: 'flying' }))).toBe(false)
})
