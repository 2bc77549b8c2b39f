import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DetachReader, parseDetachKeys } from './detach-keys.js'

test.each([
  [undefined, [16, 17]],
  ['', [16, 17]],
  ['ctrl-p,ctrl-q', [16, 17]],
  ['ctrl-@', [0]],
  ['ctrl-[,ctrl-_', [27, 31]],
  ['a,ctrl-A', [97, 1]],
])('%j is %j', (text, bytes) => {
  expect([...parseDetachKeys(text)]).toEqual(bytes)
})

test.each(['ctrl-', 'ctrl-1', 'ab', 'ctrl-p,'])('%j is refused in docker’s words', (text) => {
  expect(() => parseDetachKeys(text)).toThrow(/Invalid escape keys/)
})

const read = (keys: string, ...pieces: string[]) => {
  const reader = new DetachReader(Buffer.from(keys))
  const results = pieces.map((piece) => reader.push(Buffer.from(piece)))
  return {
    passed: Buffer.concat([...results.map((result) => result.pass), reader.flush()]).toString(),
    isDetached: results.some((result) => result.isDetached),
  }
}

test.each([
  [['hello'], 'hello', false],
  [['xPQy'], 'x', true],
  [['P', 'Q'], '', true],
  [['P', 'x'], 'Px', false],
  [['PP', 'Q'], 'P', true],
  [['P'], 'P', false],
])('of %j the container sees %j', (pieces, passed, isDetached) => {
  expect(read('PQ', ...pieces)).toEqual({ passed, isDetached })
})

test('what has no keys in it passes unchanged however it is cut, and the keys are always found', () => {
  const pieces = fc.array(fc.string({ unit: fc.constantFrom('P', 'x'), maxLength: 4 }), { maxLength: 5 })
  fc.assert(
    fc.property(pieces, pieces, (before, after) => {
      expect(read('PQ', ...before)).toEqual({ passed: before.join(''), isDetached: false })
      expect(read('PQ', ...before, 'x', 'P', 'Q', ...after).isDetached).toBe(true)
    }),
    { numRuns: 2_000 },
  )
})
