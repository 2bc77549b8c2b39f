import { expect, test } from 'vitest'
import { planRounds } from './rounds.js'

test('everyone is measured once a round, and each round begins with another', () => {
  expect(planRounds(['a', 'b', 'c'], 4).join('')).toBe('abcbcacababc')
})

test('no contenders, no rounds', () => {
  expect(planRounds([], 3)).toEqual([])
})
