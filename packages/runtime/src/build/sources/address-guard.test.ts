import { isIPv6 } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addressKind } from './address-guard.js'

test.each([
  ['8.8.8.8', 'public'],
  ['2001:4860:4860::8888', 'public'],
  ['127.0.0.1', 'private'],
  ['10.1.2.3', 'private'],
  ['172.31.255.255', 'private'],
  ['172.32.0.0', 'public'],
  ['192.168.0.1', 'private'],
  ['::1', 'private'],
  ['fd12::1', 'private'],
  ['169.254.169.254', 'refused'],
  ['0.0.0.0', 'refused'],
  ['255.255.255.255', 'refused'],
  ['224.0.0.1', 'refused'],
  ['100.100.100.200', 'refused'],
  ['fe80::1', 'refused'],
  ['fe80::1%eth0', 'refused'],
  ['fd00:ec2::254', 'refused'],
  ['::', 'refused'],
  ['ff02::1', 'refused'],
  ['::ffff:169.254.169.254', 'refused'],
  ['::ffff:a9fe:a9fe', 'refused'],
  ['0:0:0:0:0:ffff:a9fe:a9fe', 'refused'],
  ['::169.254.169.254', 'refused'],
  ['64:ff9b::a9fe:a9fe', 'refused'],
  ['2002:a9fe:a9fe::1', 'refused'],
  ['::ffff:127.0.0.1', 'private'],
  ['::ffff:8.8.8.8', 'public'],
  ['metadata', 'refused'],
  ['', 'refused'],
] as const)('C7: %s is %s', (address, kind) => {
  expect(addressKind(address)).toBe(kind)
})

test('C7: an IPv4 address is the same however it is dressed', () => {
  const byte = fc.integer({ min: 0, max: 255 })
  fc.assert(
    fc.property(byte, byte, byte, byte, (a, b, c, d) => {
      const ipv4 = [a, b, c, d].join('.')
      const hex = (high: number, low: number) => (high * 256 + low).toString(16)
      const dressed = [
        `::ffff:${ipv4}`,
        `::FFFF:${hex(a, b)}:${hex(c, d)}`,
        `2002:${hex(a, b)}:${hex(c, d)}::`,
      ]
      for (const address of dressed) expect(addressKind(address)).toBe(addressKind(ipv4))
    }),
    { numRuns: 5_000 },
  )
})

test('every IPv6 address is of one kind, and none ends the process', () => {
  fc.assert(
    fc.property(fc.ipV6(), (address) => {
      fc.pre(isIPv6(address))
      expect(['public', 'private', 'refused']).toContain(addressKind(address))
    }),
    { numRuns: 5_000 },
  )
})
