import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isFit, nextFree } from './choose-address.js'
import { type Cidr, cidrText, formatAddress, hasAddress, overlaps, parseAddress, parseCidr } from './cidr.js'
import { firstFreePool } from './default-pools.js'

const family = fc.constantFrom(4 as const, 6 as const)
const address = family.chain((one) =>
  fc.bigInt({ min: 0n, max: one === 4 ? 2n ** 32n - 1n : 2n ** 128n - 1n }).map((value) => ({ one, value })),
)

test('what is written is read as the same address', () => {
  fc.assert(
    fc.property(address, ({ one, value }) => {
      expect(parseAddress(formatAddress(one, value))).toEqual({ family: one, value })
    }),
  )
})

test.each([
  ['172.20.5.9/16', '172.20.0.0/16'],
  ['fd00:0:0::5/64', 'fd00::/64'],
  ['::/0', '::/0'],
  ['10.0.0.1/32', '10.0.0.1/32'],
  ['10.0.0.1/33', undefined],
  ['10.0.0/8', undefined],
  ['fe80::1%eth0/64', undefined],
  ['10.0.0.0', undefined],
])('subnet %s is %s', (text, expected) => {
  const cidr = parseCidr(text)
  expect(cidr && cidrText(cidr)).toBe(expected)
})

test('subnets overlap when one has an address of the other', () => {
  const prefix = fc.integer({ min: 0, max: 32 })
  const subnet = fc.tuple(fc.integer({ min: 0, max: 2 ** 32 - 1 }), prefix).map(([value, length]) => {
    const cidr = parseCidr(`${formatAddress(4, BigInt(value))}/${length}`)
    if (!cidr) throw new Error('a subnet was expected')
    return cidr
  })
  fc.assert(
    fc.property(subnet, subnet, (a, b) => {
      expect(overlaps(a, b)).toBe(hasAddress(a, b.base) || hasAddress(b, a.base))
      expect(overlaps(a, b)).toBe(overlaps(b, a))
    }),
  )
})

const pool = { subnet: '10.1.0.0/28', range: undefined, gateway: '10.1.0.1', reserved: { a: '10.1.0.7' } }

test('F48: every address of a pool is given once, none that is kept free, and then no more', () => {
  const taken = new Set<string>()
  for (let next = nextFree(pool, taken); next; next = nextFree(pool, taken, next)) {
    expect(isFit(pool, next)).toBe(true)
    taken.add(next)
  }
  expect(taken.size).toBe(16 - 2 - 2)
})

test('a freed address rests as long as others are free', () => {
  expect(nextFree(pool, new Set(), '10.1.0.3')).toBe('10.1.0.4')
  expect(nextFree(pool, new Set(), '10.1.0.14')).toBe('10.1.0.2')
})

test('addresses come from the range', () => {
  const ranged = { ...pool, range: '10.1.0.8/30' }
  const taken = new Set(['10.1.0.8', '10.1.0.9', '10.1.0.10'])
  expect(nextFree(ranged, taken)).toBe('10.1.0.11')
  expect(nextFree(ranged, new Set([...taken, '10.1.0.11']))).toBeUndefined()
})

test('a pool of 2^64 addresses is searched no longer than what is taken of it', () => {
  const wide = { subnet: 'fd00::/64', range: undefined, gateway: 'fd00::1', reserved: {} }
  expect(nextFree(wide, new Set(['fd00::2']))).toBe('fd00::3')
})

test('default pools: none overlaps with what is taken, and they end', () => {
  const taken: Cidr[] = []
  for (let next = firstFreePool(4, taken, 'h'); next; next = firstFreePool(4, taken, 'h')) {
    expect(taken.some((other) => overlaps(other, next))).toBe(false)
    taken.push(next)
  }
  expect(taken).toHaveLength(31)
  expect(cidrText(firstFreePool(6, [], 'h') ?? ({} as Cidr))).toMatch(/^fd.*::\/64$/)
  expect(firstFreePool(6, [], 'h')).not.toEqual(firstFreePool(6, [], 'another'))
})
