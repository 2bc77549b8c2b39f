import fc from 'fast-check'
import { expect, test } from 'vitest'
import { advance, isNewSince, LOG_START } from './resume.js'

test('a log that is read again from an earlier point gives each line once, also lines of one instant', () => {
  const stamps = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 40 })
  fc.assert(
    fc.property(stamps, fc.nat(40), fc.nat(40), (unsorted, breakAt, back) => {
      const log = unsorted
        .toSorted((a, b) => a - b)
        .map((stamp, index) => ({ timestamp: `T${stamp}`, index }))
      const before = log.slice(0, breakAt)
      const position = before.reduce(advance, LOG_START)
      // The tail that is asked for again begins at an instant, or further back.
      const first = before.findIndex(({ timestamp }) => timestamp === position.timestamp)
      const after = log
        .slice(Math.max(0, Math.min(Math.max(first, 0), breakAt) - back))
        .filter(isNewSince(position))
      expect([...before, ...after].map(({ index }) => index)).toEqual(log.map(({ index }) => index))
    }),
  )
})
