import { readFileSync } from 'node:fs'
import { type Cidr, parseCidr } from '../ipam/cidr.js'

/** Subnets that the host has routes to, without the default route: what a new network must not hide. */
export const hostRoutes = (): readonly Cidr[] => [
  ...parseRoutes4(textOf('/proc/self/net/route')),
  ...parseRoutes6(textOf('/proc/self/net/ipv6_route')),
]

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Addresses stand in the host's byte order there, the last octet first. */
function parseRoutes4(text: string): readonly Cidr[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, destination = '', , , , , , mask = ''] = line.split(/\s+/)
      const octets = (destination.match(/../g) ?? []).reverse().map((octet) => Number.parseInt(octet, 16))
      const prefix = [...Number.parseInt(mask || '0', 16).toString(2)].filter((bit) => bit === '1').length
      return octets.length === 4 && prefix > 0 ? (parseCidr(`${octets.join('.')}/${prefix}`) ?? []) : []
    })
}

const LOOPBACK = /\slo$/

function parseRoutes6(text: string): readonly Cidr[] {
  return text.split('\n').flatMap((line) => {
    const [destination = '', length = ''] = line.split(/\s+/)
    const prefix = Number.parseInt(length, 16)
    const isLinkLocal = /^(fe80|ff)/.test(destination)
    if (destination.length !== 32 || !prefix || isLinkLocal || LOOPBACK.test(line)) return []
    return parseCidr(`${(destination.match(/..../g) ?? []).join(':')}/${prefix}`) ?? []
  })
}
