import { fault } from '@berth/core'
import type { AddressPool, AddressPoolSpec, NetworkSpec } from '../../api.js'
import { isIpAddress } from '../../oci/ip-address.js'
import { isFit } from '../ipam/choose-address.js'
import {
  type Cidr,
  cidrText,
  type Family,
  formatAddress,
  hasAddress,
  overlaps,
  parseAddress,
  parseCidr,
  sizeOf,
} from '../ipam/cidr.js'
import { firstFreePool } from '../ipam/default-pools.js'
import { BRIDGE_NAME, HOST_BINDING, linkOf, MTU, type NetworkRow } from './network-row.js'

export interface PlanContext {
  readonly id: string
  readonly createdAt: string
  /** Makes the IPv6 pools of this host differ from those of others. */
  readonly hostId: string
  readonly networks: readonly NetworkRow[]
  /** Subnets that the host has routes to. */
  readonly hostRoutes: readonly Cidr[]
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/
const LINK_NAME = /^[^\s/:]{1,15}$/
const PREDEFINED: ReadonlySet<string> = new Set(['bridge', 'host', 'none', 'default'])
const MTU_MAX = 65_535

const refused = (why: string) => fault.invalidArgument('network.spec_invalid', why)

/** A network as it will be stored. @throws network.spec_invalid, network.predefined, network.subnet_overlaps, network.pools_exhausted, network.link_taken */
export function planNetwork(spec: NetworkSpec, context: PlanContext): NetworkRow {
  checkWords(spec)
  const given = spec.pools ?? []
  const row: NetworkRow = {
    ...{ id: context.id, name: spec.name, driver: spec.driver ?? 'bridge', createdAt: context.createdAt },
    ...{ isPredefined: false, internal: spec.internal ?? false, attachable: spec.attachable ?? false },
    ...{ ipv6: spec.ipv6 ?? false, labels: spec.labels ?? {}, options: spec.options ?? {} },
    pools: spec.driver === 'cni' ? [] : planPools(spec, context),
    hasOwnSubnets: given.some(({ subnet }) => subnet),
  }
  assertLinkFree(row, context.networks)
  return row
}

function checkWords({ name, options = {} }: NetworkSpec): void {
  if (PREDEFINED.has(name))
    throw fault.permissionDenied(
      'network.predefined',
      `operation is not permitted on predefined ${name} network`,
    )
  if (!NAME.test(name))
    throw refused(
      `invalid network name: ${name.slice(0, 100)}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed for one`,
    )
  const link = options[BRIDGE_NAME]
  if (link && !LINK_NAME.test(link))
    throw refused(`invalid bridge name: ${JSON.stringify(link.slice(0, 50))}`)
  const binding = options[HOST_BINDING]
  if (binding && !(isIpAddress(binding) && !binding.includes(':')))
    throw refused(
      `invalid value ${JSON.stringify(binding.slice(0, 50))} for ${HOST_BINDING}: an IPv4 address is expected`,
    )
  const mtu = options[MTU]
  if (mtu !== undefined && !(/^\d{1,5}$/.test(mtu) && Number(mtu) <= MTU_MAX))
    throw refused(
      `invalid value ${JSON.stringify(mtu.slice(0, 50))} for ${MTU}: a number of bytes is expected`,
    )
}

function assertLinkFree(row: NetworkRow, networks: readonly NetworkRow[]): void {
  if (row.driver !== 'bridge') return
  const other = networks.find((one) => one.driver === 'bridge' && linkOf(one) === linkOf(row))
  if (other)
    throw fault.permissionDenied(
      'network.link_taken',
      `network with name ${other.name} uses the bridge ${linkOf(row)}: choose another ${BRIDGE_NAME}`,
    )
}

function planPools(spec: NetworkSpec, context: PlanContext): readonly AddressPool[] {
  const given = spec.pools ?? []
  const taken: Cidr[] = [
    ...context.networks.flatMap(({ pools }) => pools.flatMap(({ subnet }) => parseCidr(subnet) ?? [])),
    ...context.hostRoutes,
  ]
  const pools = given.filter(({ subnet }) => subnet).map((pool) => ownPool(pool, taken))
  const has = (family: Family) => pools.some(({ subnet }) => parseCidr(subnet)?.family === family)
  if (!spec.ipv6 && has(6)) throw refused('an IPv6 subnet needs IPv6 to be enabled for the network (--ipv6)')
  const families: readonly Family[] = spec.ipv6 ? [4, 6] : [4]
  for (const family of families)
    if (!has(family))
      pools.push(defaultPool(family, family === 4 ? withoutSubnet(given) : undefined, taken, context))
  return pools
}

const withoutSubnet = (given: readonly AddressPoolSpec[]): AddressPoolSpec | undefined =>
  given.find(({ subnet }) => !subnet)

function defaultPool(
  family: Family,
  given: AddressPoolSpec | undefined,
  taken: readonly Cidr[],
  { hostId }: PlanContext,
): AddressPool {
  if (given?.range || Object.keys(given?.reserved ?? {}).length > 0)
    throw refused('a range of addresses or a reserved one needs a subnet that they belong to')
  const pool = firstFreePool(family, taken, hostId)
  if (!pool)
    throw fault.resourceExhausted(
      'network.pools_exhausted',
      `could not find an available, non-overlapping IPv${family} address pool among the defaults to assign to the network: remove networks or give a subnet of your own`,
    )
  return { ...poolOf(pool), gateway: gatewayOf(pool, given?.gateway, undefined) }
}

const poolOf = (subnet: Cidr) => ({ subnet: cidrText(subnet), range: undefined, reserved: {} })

/** @throws network.spec_invalid, network.subnet_overlaps */
function ownPool(
  { subnet = '', range, gateway, reserved = {} }: AddressPoolSpec,
  taken: Cidr[],
): AddressPool {
  const cidr = parseCidr(subnet)
  if (!cidr) throw refused(`invalid CIDR address: ${subnet.slice(0, 100)}`)
  if (taken.some((other) => overlaps(other, cidr)))
    throw fault.permissionDenied(
      'network.subnet_overlaps',
      `Pool overlaps with other one on this address space: ${subnet} is used by another network or the host has a route to it`,
      { params: { subnet } },
    )
  taken.push(cidr)
  const part = range ? parseCidr(range) : undefined
  if (
    range &&
    !(part && part.family === cidr.family && hasAddress(cidr, part.base) && part.prefix >= cidr.prefix)
  )
    throw refused(`no matching subnet for range ${range.slice(0, 100)}: it must be a part of ${subnet}`)
  for (const address of Object.values(reserved))
    if (!isIn(cidr, address))
      throw refused(`no matching subnet for aux-address ${address.slice(0, 100)}: it must be in ${subnet}`)
  return {
    ...{ subnet: cidrText(cidr), range: part && cidrText(part), reserved },
    gateway: gatewayOf(cidr, gateway, reserved),
  }
}

const isIn = (cidr: Cidr, text: string): boolean => {
  const address = parseAddress(text)
  return address?.family === cidr.family && hasAddress(cidr, address.value)
}

/** The one asked for, else the first address that is not reserved. */
function gatewayOf(subnet: Cidr, asked: string | undefined, reserved: AddressPool['reserved'] = {}): string {
  const pool = { ...poolOf(subnet), gateway: undefined, reserved }
  if (asked) {
    if (!isIn(subnet, asked)) throw refused(`no matching subnet for gateway ${asked.slice(0, 100)}`)
    if (!isFit(pool, asked))
      throw refused(`the gateway ${asked} cannot be had: it is reserved or names the subnet`)
    const address = parseAddress(asked)
    return formatAddress(subnet.family, address?.value ?? 0n)
  }
  for (let at = sizeOf(subnet) > 2n ? 1n : 0n; at < sizeOf(subnet); at++) {
    const text = formatAddress(subnet.family, subnet.base + at)
    if (isFit(pool, text)) return text
  }
  throw refused(`the subnet ${cidrText(subnet)} has no address for a gateway: use a larger one`)
}
