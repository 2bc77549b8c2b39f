import { isIPv6 } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addressBytes, addressText, familyOf, isSameAddress } from './address.js'
import { deviceGroup } from './device-group.js'

test.each([
  ['10.0.0.255', '0a0000ff'],
  ['::', '00000000000000000000000000000000'],
  ['::1', '00000000000000000000000000000001'],
  ['fd00:1::', 'fd000001000000000000000000000000'],
  ['FD00::1:2', 'fd000000000000000000000000010002'],
  ['fe80::1%eth0', 'fe800000000000000000000000000001'],
  ['::ffff:10.0.0.1', '00000000000000000000ffff0a000001'],
  ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
])('%s is %s', (ip, hex) => expect(addressBytes(ip).toString('hex')).toBe(hex))

test('an address keeps its meaning through the kernel’s bytes, however it is written', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (ip) => {
      const bytes = addressBytes(ip)
      expect(bytes).toHaveLength(familyOf(ip) === 4 ? 4 : 16)
      expect(addressBytes(addressText(bytes))).toEqual(bytes)
      if (familyOf(ip) === 6) expect(isIPv6(addressText(bytes))).toBe(true)
    }),
  )
})

test('one address may be written in many ways', () => {
  expect(isSameAddress('fd00::1', 'FD00:0:0:0:0:0:0:1')).toBe(true)
  expect(isSameAddress('fd00::1', 'fd00::2')).toBe(false)
  expect(isSameAddress('0.0.0.0', '::')).toBe(false)
})

test('a network’s device group is the same at every start, and far from those that people give', () => {
  fc.assert(
    fc.property(fc.string(), (id) => {
      expect(deviceGroup(id)).toBe(deviceGroup(id))
      expect(deviceGroup(id)).toBeGreaterThanOrEqual(2 ** 30)
      expect(deviceGroup(id)).toBeLessThan(2 ** 31)
    }),
  )
  const ids = Array.from({ length: 2_000 }, (_, index) => `network-${index}`)
  expect(new Set(ids.map(deviceGroup)).size).toBe(ids.length)
})
