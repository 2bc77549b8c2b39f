import { describe, expect, test } from 'vitest'
import { percentile, summarize } from './statistics.js'

describe('percentile', () => {
  test('is a value that was measured, whatever the order', () => {
    expect(percentile([30, 10, 20], 0.5)).toBe(20)
    expect(percentile([5, 1, 4, 2, 3, 10, 9, 8, 7, 6], 0.9)).toBe(9)
    expect(percentile([7], 0.9)).toBe(7)
  })

  test('of nothing is not a number', () => {
    expect(percentile([], 0.5)).toBeNaN()
  })
})

test('a summary has the least value as its minimum', () => {
  expect(summarize([3, 2, 9])).toEqual({ median: 3, p90: 9, min: 2 })
})
