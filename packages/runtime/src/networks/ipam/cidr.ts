import { isIpAddress } from '../../oci/ip-address.js'
import { addressBytes } from '../kernel/address.js'

export type Family = 4 | 6

/** A subnet; the bits after the prefix are zero in `base`. */
export interface Cidr {
  readonly family: Family
  readonly base: bigint
  readonly prefix: number
}

const bitsOf = (family: Family): number => (family === 4 ? 32 : 128)

/** `undefined` for what is no address; a zone is none of an address. */
export function parseAddress(text: string): { family: Family; value: bigint } | undefined {
  if (!isIpAddress(text)) return undefined
  const family = text.includes(':') ? 6 : 4
  return { family, value: BigInt(`0x${addressBytes(text).toString('hex')}`) }
}

/** `172.20.0.0/16`, `fd00::/64`; bits after the prefix are taken off. */
export function parseCidr(text: string): Cidr | undefined {
  const [, ip = '', length = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? []
  const address = parseAddress(ip)
  const prefix = Number(length)
  if (!address || prefix > bitsOf(address.family)) return undefined
  const size = sizeOf({ family: address.family, prefix })
  return { family: address.family, base: (address.value / size) * size, prefix }
}

export const sizeOf = ({ family, prefix }: Pick<Cidr, 'family' | 'prefix'>): bigint =>
  2n ** BigInt(bitsOf(family) - prefix)

export const cidrText = ({ family, base, prefix }: Cidr): string => `${formatAddress(family, base)}/${prefix}`

export const hasAddress = (cidr: Cidr, value: bigint): boolean =>
  value >= cidr.base && value < cidr.base + sizeOf(cidr)

export const overlaps = (a: Cidr, b: Cidr): boolean =>
  a.family === b.family && (hasAddress(a, b.base) || hasAddress(b, a.base))

/** IPv6 as RFC 5952 has it: the longest run of two or more zero words is `::`. */
export function formatAddress(family: Family, value: bigint): string {
  const digits = value.toString(16).padStart(family === 4 ? 8 : 32, '0')
  if (family === 4) return (digits.match(/../g) ?? []).map((octet) => Number.parseInt(octet, 16)).join('.')
  const words = (digits.match(/..../g) ?? []).map((word) => Number.parseInt(word, 16).toString(16))
  const [start, length] = longestZeros(words)
  if (length < 2) return words.join(':')
  return `${words.slice(0, start).join(':')}::${words.slice(start + length).join(':')}`
}

function longestZeros(words: readonly string[]): readonly [start: number, length: number] {
  let best: readonly [number, number] = [0, 0]
  for (let start = 0; start < words.length; start++) {
    let length = 0
    while (words[start + length] === '0') length++
    if (length > best[1]) best = [start, length]
  }
  return best
}
