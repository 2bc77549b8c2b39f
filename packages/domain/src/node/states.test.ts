import { expect, test } from 'vitest'
import { updateNodeSchema } from '../api/requests.js'
import { NODE_AVAILABILITIES, NODE_STATES } from './states.js'

test('a user sets availability and never the state', () => {
  for (const availability of NODE_AVAILABILITIES)
    expect(updateNodeSchema.safeParse({ availability }).success).toBe(true)
  for (const state of NODE_STATES) {
    expect(updateNodeSchema.safeParse({ state }).success).toBe(false)
    expect(updateNodeSchema.safeParse({ availability: state }).success).toBe(false)
  }
})
