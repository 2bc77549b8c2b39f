import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nextAddress, parseSubnet } from './ipam.js'

test('a subnet is named by its base, its gateway is the first address', () => {
  expect(parseSubnet('10.88.7.9/16')).toMatchObject({
    text: '10.88.0.0/16',
    gateway: '10.88.0.1',
    prefix: 16,
  })
  expect(parseSubnet('192.168.1.200/29')).toMatchObject({
    text: '192.168.1.200/29',
    gateway: '192.168.1.201',
  })
})

test.each([
  '',
  '10.0.0.0',
  '10.0.0.0/7',
  '10.0.0.0/30',
  '10.0.0.256/24',
  '10.0.0/24',
  'fd00::/64',
  '10.0.0.0/24x',
])('%j is refused as a subnet', (text) =>
  expect(() => parseSubnet(text)).toThrow(expect.objectContaining({ code: 'network.subnet_invalid' })),
)

test('leases never overlap, never are gateway, network or broadcast, and end only when all are taken', () => {
  fc.assert(
    fc.property(fc.integer({ min: 26, max: 29 }), fc.array(fc.nat({ max: 100 })), (prefix, releases) => {
      const subnet = parseSubnet(`10.1.2.0/${prefix}`)
      const usable = 2 ** (32 - prefix) - 3
      const taken = new Set<string>()
      let last = 0
      const lease = () => {
        const { ip, offset } = nextAddress(subnet, taken, last)
        expect(taken.has(ip)).toBe(false)
        expect(offset).toBeGreaterThanOrEqual(2)
        expect(offset).toBeLessThan(2 ** (32 - prefix) - 1)
        taken.add(ip)
        last = offset
      }
      for (const release of releases) {
        if (taken.size < usable) lease()
        if (release % 3 === 0) taken.delete([...taken][release % taken.size] ?? '')
      }
      while (taken.size < usable) lease()
      expect(() => nextAddress(subnet, taken, last)).toThrow(
        expect.objectContaining({ code: 'network.addresses_exhausted' }),
      )
    }),
    { numRuns: 300 },
  )
})

test('a freed address rests until the others had their turn', () => {
  const subnet = parseSubnet('10.0.0.0/29')
  expect(nextAddress(subnet, new Set(), 0).ip).toBe('10.0.0.2')
  expect(nextAddress(subnet, new Set(), 2).ip).toBe('10.0.0.3')
  expect(nextAddress(subnet, new Set(), 6).ip).toBe('10.0.0.2')
  expect(nextAddress(subnet, new Set(['10.0.0.2', '10.0.0.3']), 6).ip).toBe('10.0.0.4')
})
