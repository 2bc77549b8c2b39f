import { Fault } from '@berth/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { goTime, parseGoDuration, parseTimeNanos } from './go-time.js'

const NOW = Date.parse('2026-01-02T03:04:05Z')

test.each([
  [undefined, undefined],
  ['', undefined],
  ['0', undefined],
  ['1700000000', 1_700_000_000_000_000_000n],
  ['1700000000.000000001', 1_700_000_000_000_000_001n],
  ['1700000000.5', 1_700_000_000_500_000_000n],
  ['-1.5', -1_500_000_000n],
  ['2023-11-14T22:13:20Z', 1_700_000_000_000_000_000n],
  ['2023-11-14T22:13:20.123456789Z', 1_700_000_000_123_456_789n],
  ['2023-11-14T23:13:20+01:00', 1_700_000_000_000_000_000n],
  ['2023-11-14T22:13', 1_699_999_980_000_000_000n],
  ['2023-11-14', 1_699_920_000_000_000_000n],
  ['10s', BigInt(NOW - 10_000) * 1_000_000n],
  ['1h30m', BigInt(NOW - 5_400_000) * 1_000_000n],
  ['1.5h', BigInt(NOW - 5_400_000) * 1_000_000n],
])('%j is %s', (text, nanos) => {
  expect(parseTimeNanos(text, NOW)).toBe(nanos)
})

test.each(['yesterday', '2023-13-01', '2023-01-01T25:00:00Z', '1.0000000001', '1 s', '10x', '--1'])(
  '%j is refused',
  (text) => {
    expect(() => parseTimeNanos(text, NOW)).toThrow(expect.objectContaining({ code: 'engine.time_invalid' }))
  },
)

test.each([
  ['300ms', 300e6],
  ['1m2s3ms', 62_003e6],
  ['-1s', -1e9],
  ['0', 0],
  ['1us', 1e3],
  ['', undefined],
  ['1', undefined],
  ['s', undefined],
  ['999999999999999h', undefined],
])('the duration %j is %s ns', (text, nanos) => {
  expect(parseGoDuration(text)).toBe(nanos)
})

test('what has not happened is Go’s zero time', () => {
  expect(goTime(undefined)).toBe('0001-01-01T00:00:00Z')
})

test('any text is a time or one fault: never another error', () => {
  const near = fc.string({
    unit: fc.constantFrom('1', '9', '0', '-', ':', 'T', 'Z', '.', 'h', 'm', 's', '+'),
  })
  fc.assert(
    fc.property(fc.oneof(fc.string(), near), (text) => {
      try {
        parseTimeNanos(text, NOW)
      } catch (error) {
        if (!Fault.is(error, 'engine.time_invalid')) throw error
      }
    }),
    { numRuns: 50_000 },
  )
}, 60_000)
