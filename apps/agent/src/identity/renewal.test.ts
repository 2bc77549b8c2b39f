import { renewalDelayMs } from '@berth/core'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { createAuthority, HOUR_MS } from '../testing/test-authority.js'

const FROM_MS = Date.parse('2026-03-01T00:00:00Z')
const LIFE_MS = 25 * HOUR_MS
let certificatePem = ''

beforeAll(async () => {
  const authority = await createAuthority()
  const life = { fromMs: FROM_MS, toMs: FROM_MS + LIFE_MS }
  ;({ certificatePem } = await authority.issue('node-1', 'node', life))
})

test('a certificate is renewed between half and four fifths of its life, whatever the luck and the hour', () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(random, fc.integer({ min: 0, max: LIFE_MS / 2 }), (luck, ageMs) => {
      const atMs = ageMs + renewalDelayMs(certificatePem, FROM_MS + ageMs, luck)
      expect(atMs).toBeGreaterThanOrEqual(0.5 * LIFE_MS)
      expect(atMs).toBeLessThanOrEqual(0.8 * LIFE_MS + 1)
    }),
  )
})

test('luck spreads the hosts over that time', () => {
  const spread =
    renewalDelayMs(certificatePem, FROM_MS, 0.999_999) - renewalDelayMs(certificatePem, FROM_MS, 0)
  expect(spread / LIFE_MS).toBeCloseTo(0.3, 3)
})

test.each([0.8, 1, 5])('at %d of its life it is renewed at once', (part) => {
  expect(renewalDelayMs(certificatePem, FROM_MS + part * LIFE_MS, 0.999)).toBe(0)
})
