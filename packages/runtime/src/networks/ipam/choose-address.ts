import type { AddressPool } from '../../api.js'
import { type Cidr, formatAddress, hasAddress, parseAddress, parseCidr, sizeOf } from './cidr.js'

interface Range {
  readonly first: bigint
  readonly last: bigint
}

/** Addresses of a pool that a container may have: those of the range, without the subnet's own and its broadcast address. */
function usable(subnet: Cidr, range: Cidr): Range {
  const last = subnet.base + sizeOf(subnet) - 1n
  const rangeLast = range.base + sizeOf(range) - 1n
  const isPair = sizeOf(subnet) <= 2n
  return {
    first: range.base === subnet.base && !isPair ? range.base + 1n : range.base,
    last: rangeLast === last && subnet.family === 4 && !isPair ? rangeLast - 1n : rangeLast,
  }
}

const valuesOf = (text: string): readonly bigint[] => {
  const address = parseAddress(text)
  return address ? [address.value] : []
}

/** What of a pool nobody gets: the gateway's address and the reserved ones. */
export const keptFree = ({ gateway, reserved }: AddressPool): ReadonlySet<bigint> =>
  new Set([gateway ?? '', ...Object.values(reserved)].flatMap(valuesOf))

/**
 * The next free address after `after`, going round, so that a freed one rests as long as others are free. `undefined` when every one is taken.
 * The work is in proportion to the addresses taken, however large the pool.
 */
export function nextFree(pool: AddressPool, taken: ReadonlySet<string>, after?: string): string | undefined {
  const subnet = parseCidr(pool.subnet)
  const range = parseCidr(pool.range ?? pool.subnet)
  if (!subnet || !range) return undefined
  const { first, last } = usable(subnet, range)
  const kept = keptFree(pool)
  const count = last - first + 1n
  const from = (valuesOf(after ?? '')[0] ?? first - 1n) + 1n
  const start = from < first || from > last ? first : from
  const steps = BigInt(taken.size + kept.size + 1)
  for (let step = 0n; step < count && step < steps; step++) {
    const value = first + ((start - first + step) % count)
    const text = formatAddress(subnet.family, value)
    if (!kept.has(value) && !taken.has(text)) return text
  }
  return undefined
}

/** Whether an address asked for by hand is one of the subnet that a container may have. */
export function isFit(pool: AddressPool, text: string): boolean {
  const [subnet, address] = [parseCidr(pool.subnet), parseAddress(text)]
  if (!subnet || address?.family !== subnet.family || !hasAddress(subnet, address.value)) return false
  const { first, last } = usable(subnet, subnet)
  return address.value >= first && address.value <= last && !keptFree(pool).has(address.value)
}

/** As it is stored and compared. */
export const canonical = (text: string): string => {
  const address = parseAddress(text)
  return address ? formatAddress(address.family, address.value) : text
}
