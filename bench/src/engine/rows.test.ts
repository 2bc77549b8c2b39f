import { expect, test } from 'vitest'
import { groupsOf, isWarmedUp, ROW_IDS, ROWS, runsOf } from './rows.js'

test('a group is measured once for all its rows, in the order of the table', () => {
  expect(groupsOf(['many-remove', 'life', 'start', 'ps'])).toEqual(['life', 'many'])
  expect(groupsOf([])).toEqual([])
})

test('every group has a row', () => {
  expect(groupsOf(ROW_IDS)).toHaveLength(new Set(ROW_IDS.map((id) => ROWS[id].group)).size)
})

test('what takes seconds is measured at most five times, and only pulls and loads of it are warmed up', () => {
  expect(['life', 'pull', 'many'].map((group) => isWarmedUp(group as 'life'))).toEqual([true, true, false])
  expect([runsOf('life', 20), runsOf('pull', 20), runsOf('many', 2)]).toEqual([20, 5, 2])
})
