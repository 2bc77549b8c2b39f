import { fault } from '@berth/core'

export interface Subnet {
  readonly base: number
  readonly prefix: number
  readonly gateway: string
  readonly text: string
}

const toNumber = (ip: string): number => ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
const toText = (value: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')

/** `10.88.0.0/16`; the first address is the gateway's. @throws network.subnet_invalid */
export function parseSubnet(text: string): Subnet {
  const match = /^(\d{1,3}(?:\.\d{1,3}){3})\/(\d{1,2})$/.exec(text)
  const prefix = Number(match?.[2])
  const octets = (match?.[1] ?? '').split('.').map(Number)
  if (!match || prefix < 8 || prefix > 29 || octets.some((octet) => octet > 255)) {
    throw fault.invalidArgument(
      'network.subnet_invalid',
      `${JSON.stringify(text)} is not an IPv4 subnet with a prefix from 8 to 29`,
    )
  }
  const size = 2 ** (32 - prefix)
  const base = Math.floor(toNumber(match[1] ?? '') / size) * size
  return { base, prefix, gateway: toText(base + 1), text: `${toText(base)}/${prefix}` }
}

/**
 * The next free address after the last one given, going round, so that a freed one rests as long as others are free.
 * @throws network.addresses_exhausted
 */
export function nextAddress(
  subnet: Subnet,
  taken: ReadonlySet<string>,
  lastOffset: number,
): { ip: string; offset: number } {
  const usable = 2 ** (32 - subnet.prefix) - 3
  for (let step = 0; step < usable; step++) {
    const offset = 2 + ((Math.max(lastOffset - 2, -1) + 1 + step) % usable)
    const ip = toText(subnet.base + offset)
    if (!taken.has(ip)) return { ip, offset }
  }
  throw fault.resourceExhausted(
    'network.addresses_exhausted',
    `all ${usable} addresses of ${subnet.text} are in use: remove containers or use a larger subnet`,
  )
}
