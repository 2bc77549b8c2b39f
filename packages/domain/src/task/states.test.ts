import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  compareTaskStates,
  isOnNode,
  isTaskState,
  isTerminal,
  mayMove,
  TASK_STATES,
  type TaskState,
} from './states.js'

const state = fc.constantFrom(...TASK_STATES)
const FINAL: readonly TaskState[] = ['complete', 'shutdown', 'failed', 'rejected', 'orphaned']

test('exactly complete, shutdown, failed, rejected and orphaned are final', () => {
  expect(TASK_STATES.filter(isTerminal)).toEqual(FINAL)
})

test('no transition leaves a final state', () => {
  for (const from of FINAL)
    for (const to of TASK_STATES) expect([from, to, mayMove(from, to)]).toEqual([from, to, from === to])
})

test('a report never moves a task down, and repeating a state is always allowed', () => {
  fc.assert(
    fc.property(state, state, (from, to) => {
      if (compareTaskStates(to, from) < 0) expect(mayMove(from, to)).toBe(false)
      expect(mayMove(from, from)).toBe(true)
    }),
  )
})

test('every final state can be reached from every state that is not final', () => {
  for (const from of TASK_STATES.filter((one) => !isTerminal(one)))
    for (const to of FINAL) expect([from, to, mayMove(from, to)]).toEqual([from, to, true])
})

test('whatever the order of reports, a task ends in its first final state and only climbs on the way', () => {
  fc.assert(
    fc.property(fc.array(state, { maxLength: 30 }), (reports) => {
      const path: TaskState[] = ['new']
      for (const report of reports) {
        const now = path.at(-1) ?? 'new'
        if (mayMove(now, report)) path.push(report)
      }
      const climbs = path.slice(1).every((next, index) => compareTaskStates(next, path[index] ?? 'new') >= 0)
      expect(climbs).toBe(true)
      expect(new Set(path.filter(isTerminal)).size).toBeLessThanOrEqual(1)
      expect(path.findIndex(isTerminal) === -1 || isTerminal(path.at(-1) ?? 'new')).toBe(true)
    }),
  )
})

test('states are totally ordered', () => {
  fc.assert(
    fc.property(state, state, state, (a, b, c) => {
      expect(Math.sign(compareTaskStates(a, b))).toBe(-Math.sign(compareTaskStates(b, a)) + 0)
      if (compareTaskStates(a, b) <= 0 && compareTaskStates(b, c) <= 0)
        expect(compareTaskStates(a, c)).toBeLessThanOrEqual(0)
    }),
  )
})

describe('on a node', () => {
  test.each([
    ['new', false],
    ['pending', false],
    ['assigned', true],
    ['accepted', true],
    ['preparing', true],
    ['starting', true],
    ['running', true],
    ...FINAL.map((one) => [one, false] as const),
  ] as const)('a task that is %s: %s', (one, expected) => expect(isOnNode(one)).toBe(expected))
})

test('only the known words are states', () => {
  for (const one of TASK_STATES) expect(isTaskState(one)).toBe(true)
  for (const text of ['', 'Running', 'toString', '__proto__', 'running '])
    expect(isTaskState(text)).toBe(false)
})
