import { createHash } from 'node:crypto'
import { type Cidr, type Family, overlaps, parseCidr } from './cidr.js'

const IPV4: readonly Cidr[] = [
  ...Array.from({ length: 15 }, (_, at) => `172.${17 + at}.0.0/16`),
  ...Array.from({ length: 16 }, (_, at) => `192.168.${at * 16}.0/20`),
].flatMap((text) => parseCidr(text) ?? [])

const IPV6_COUNT = 65_536n

/** The first pool that overlaps with none of `taken`: docker's for IPv4, of a unique local /48 of this host's own for IPv6 (RFC 4193). */
export function firstFreePool(family: Family, taken: readonly Cidr[], hostId: string): Cidr | undefined {
  const isFree = (pool: Cidr) => !taken.some((other) => overlaps(other, pool))
  if (family === 4) return IPV4.find(isFree)
  for (let at = 1n; at < IPV6_COUNT; at++) {
    const pool: Cidr = { family: 6, base: localPrefix(hostId) + (at << 64n), prefix: 64 }
    if (isFree(pool)) return pool
  }
  return undefined
}

const localPrefix = (hostId: string): bigint => {
  const random = createHash('sha256').update(`${hostId}/ula`).digest().subarray(0, 5).toString('hex')
  return BigInt(`0xfd${random}`) << 80n
}
