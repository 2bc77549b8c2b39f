import { type Cidr, type Family, hasAddress, parseAddress, parseCidr } from '../../networks/ipam/cidr.js'

export type AddressKind = 'public' | 'private' | 'refused'

const listOf = (...texts: readonly string[]): readonly Cidr[] =>
  texts.flatMap((text) => parseCidr(text) ?? [])

/** Link-local ones hold the keys of cloud machines, as do the single ones; the others name no single host. */
const REFUSED = listOf(
  ...['0.0.0.0/8', '169.254.0.0/16', '192.0.0.0/24', '224.0.0.0/3', '100.100.100.200/32', '168.63.129.16/32'],
  ...['::/128', 'fe80::/10', 'fd00:ec2::/32', 'ff00::/8'],
)
const PRIVATE = listOf(
  ...['10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '198.18.0.0/15'],
  ...['::1/128', 'fc00::/7'],
)
/** Where an IPv4 address is in an IPv6 one: mapped, NAT64, 6to4, compatible. */
const DRESSES = (
  [
    ['::ffff:0:0/96', 0n],
    ['64:ff9b::/96', 0n],
    ['2002::/16', 80n],
    ['::/96', 0n],
  ] as const
).flatMap(([text, shift]) => listOf(text).map((cidr) => ({ cidr, shift })))

/** Whom a build would ask there; an IPv4 address in IPv6 clothing counts as what it is. `refused` too for what is no address. */
export function addressKind(text: string): AddressKind {
  const address = parseAddress(text.replace(/%.*$/, ''))
  if (!address) return 'refused'
  const { family, value } = undressed(address)
  const isIn = (list: readonly Cidr[]) =>
    list.some((cidr) => cidr.family === family && hasAddress(cidr, value))
  if (isIn(REFUSED)) return 'refused'
  return isIn(PRIVATE) ? 'private' : 'public'
}

interface Address {
  readonly family: Family
  readonly value: bigint
}

const OWN = listOf('::/127')

function undressed(address: Address): Address {
  const { family, value } = address
  if (family === 4 || OWN.some((cidr) => hasAddress(cidr, value))) return address
  const dress = DRESSES.find(({ cidr }) => hasAddress(cidr, value))
  return dress ? { family: 4, value: (value >> dress.shift) & 0xffff_ffffn } : address
}
