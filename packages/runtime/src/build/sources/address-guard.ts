import { BlockList, isIP } from 'node:net'

export type AddressKind = 'public' | 'private' | 'refused'

/** Link-local ones hold the keys of cloud machines (169.254.169.254, fd00:ec2::254); the others name no single host. */
const REFUSED = listOf(
  [
    ['0.0.0.0', 8],
    ['169.254.0.0', 16],
    ['192.0.0.0', 24],
    ['224.0.0.0', 3],
    ['100.100.100.200', 32],
    ['168.63.129.16', 32],
  ],
  [
    ['::', 128],
    ['fe80::', 10],
    ['fd00:ec2::', 32],
    ['ff00::', 8],
  ],
)
const PRIVATE = listOf(
  [
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['172.16.0.0', 12],
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
  ],
  [
    ['::1', 128],
    ['fc00::', 7],
  ],
)

/** Whom a build would ask there; an IPv4 address in IPv6 clothing counts as what it is. `refused` too for what is no address. */
export function addressKind(address: string): AddressKind {
  const family = isIP(address)
  if (family === 0) return 'refused'
  if (family === 4) return kindOf(address, 'ipv4')
  const hidden = hiddenIpv4(address)
  return hidden === undefined ? kindOf(address, 'ipv6') : kindOf(hidden, 'ipv4')
}

const kindOf = (address: string, family: 'ipv4' | 'ipv6'): AddressKind => {
  if (REFUSED.check(address, family)) return 'refused'
  return PRIVATE.check(address, family) ? 'private' : 'public'
}

function listOf(
  ipv4: readonly (readonly [string, number])[],
  ipv6: readonly (readonly [string, number])[],
): BlockList {
  const list = new BlockList()
  for (const [net, prefix] of ipv4) list.addSubnet(net, prefix, 'ipv4')
  for (const [net, prefix] of ipv6) list.addSubnet(net, prefix, 'ipv6')
  return list
}

/** Of mapped (`::ffff:0:0/96`), compatible (`::/96`), NAT64 (`64:ff9b::/96`) and 6to4 (`2002::/16`) addresses. */
function hiddenIpv4(address: string): string | undefined {
  const groups = groupsOf(address)
  const ipv4 = (high: number, low: number) => [high >> 8, high & 255, low >> 8, low & 255].join('.')
  const [first = 0, second = 0, third = 0, , , sixth = 0, seventh = 0, eighth = 0] = groups
  const isZero = (from: number, to: number) => groups.slice(from, to).every((group) => group === 0)
  if (first === 0x2002) return ipv4(second, third)
  if (first === 0x64 && second === 0xff9b && isZero(2, 6)) return ipv4(seventh, eighth)
  if (isZero(0, 5) && sixth === 0xffff) return ipv4(seventh, eighth)
  return isZero(0, 6) && (seventh !== 0 || eighth > 1) ? ipv4(seventh, eighth) : undefined
}

/** The eight numbers of an IPv6 address that is valid; a zone is left out. */
function groupsOf(address: string): readonly number[] {
  const plain = (address.split('%')[0] ?? '').replace(
    /(\d+)\.(\d+)\.(\d+)\.(\d+)$/,
    (_, a, b, c, d) =>
      `${(Number(a) * 256 + Number(b)).toString(16)}:${(Number(c) * 256 + Number(d)).toString(16)}`,
  )
  const [head = '', tail] = plain.split('::')
  const numbers = (text: string) =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
  if (tail === undefined) return numbers(head)
  const [before, after] = [numbers(head), numbers(tail)]
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}
