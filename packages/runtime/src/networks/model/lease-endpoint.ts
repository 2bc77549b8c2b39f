import { fault } from '@berth/core'
import type { AddressPool, EndpointSpec } from '../../api.js'
import { canonical, isFit, nextFree } from '../ipam/choose-address.js'
import { type Family, parseAddress, parseCidr } from '../ipam/cidr.js'
import { macOf, parseMac } from '../modes.js'
import type { EndpointRow } from './endpoint-row.js'
import type { NetworkRow } from './network-row.js'

/** What an endpoint gets addresses from. */
export interface LeaseContext {
  readonly network: NetworkRow
  /** Addresses of the network that others hold. */
  readonly taken: ReadonlySet<string>
  /** The one given last, per family: a freed address rests. */
  readonly last: { readonly ipv4?: string; readonly ipv6?: string }
  /** Random; an interface without IPv4 has its hardware address of it. */
  readonly endpointId: string
  /** Of the default network, whose addresses are leased otherwise. */
  readonly leased?: string | undefined
}

type Addressed = Pick<EndpointRow, 'ipv4' | 'ipv6' | 'gateway' | 'gatewayIpv6' | 'macAddress'>

/** @throws network.address_invalid, network.address_taken, network.addresses_exhausted, network.mac_invalid, in docker's words */
export function leaseAddresses(spec: EndpointSpec, context: LeaseContext): Addressed {
  assertFixedAllowed(spec, context.network)
  const { network, last, leased } = context
  const ipv4 = addressOf(4, leased ?? spec.ipv4, last.ipv4, {
    ...context,
    taken: leased ? NONE : context.taken,
  })
  const ipv6 = addressOf(6, spec.ipv6, last.ipv6, context)
  const mac = spec.macAddress ? parseMac(spec.macAddress) : ipv4 && macOf(ipv4.address)
  const gateway = (family: Family) => (network.internal ? undefined : poolsOf(network, family)[0]?.gateway)
  const [gateway4, gateway6] = [ipv4 && gateway(4), ipv6 && gateway(6)]
  return {
    ...(ipv4 ? { ipv4 } : {}),
    ...(ipv6 ? { ipv6 } : {}),
    ...(gateway4 ? { gateway: gateway4 } : {}),
    ...(gateway6 ? { gatewayIpv6: gateway6 } : {}),
    macAddress: mac ?? localMac(context.endpointId),
  }
}

const NONE: ReadonlySet<string> = new Set()

const poolsOf = ({ pools }: NetworkRow, family: Family): readonly AddressPool[] =>
  pools.filter(({ subnet }) => parseCidr(subnet)?.family === family)

/** Locally administered, for one interface. */
const localMac = (endpointId: string): string =>
  ['02', ...(endpointId.match(/../g) ?? []).slice(0, 5)].join(':')

/** @throws network.address_invalid */
export function assertFixedAllowed(spec: EndpointSpec, { isPredefined, hasOwnSubnets }: NetworkRow): void {
  for (const text of spec.linkLocalIps ?? [])
    if (!parseAddress(text)) throw invalid(`invalid link-local IP address: ${text.slice(0, 100)}`)
  for (const [family, text] of [[4, spec.ipv4] as const, [6, spec.ipv6] as const]) {
    if (!text) continue
    if (parseAddress(text)?.family !== family)
      throw invalid(`invalid IPv${family} address: ${text.slice(0, 100)}`)
    if (isPredefined) throw invalid('user specified IP address is supported on user defined networks only')
    if (!hasOwnSubnets)
      throw invalid(
        'user specified IP address is supported only when connecting to networks with user configured subnets',
      )
  }
}

const invalid = (why: string) => fault.invalidArgument('network.address_invalid', why)

function addressOf(
  family: Family,
  asked: string | undefined,
  last: string | undefined,
  { network, taken }: LeaseContext,
): EndpointRow['ipv4'] {
  const pools = poolsOf(network, family)
  if (asked) return fixed(asked, pools, taken, network)
  if (pools.length === 0) return undefined
  for (const pool of pools) {
    const address = nextFree(pool, taken, last)
    if (address) return { address, prefix: parseCidr(pool.subnet)?.prefix ?? 0 }
  }
  throw fault.resourceExhausted(
    'network.addresses_exhausted',
    `no available IPv${family} addresses on this network's address pools: ${network.name} (${network.id})`,
    { params: { network: network.name } },
  )
}

function fixed(
  asked: string,
  pools: readonly AddressPool[],
  taken: ReadonlySet<string>,
  network: NetworkRow,
): EndpointRow['ipv4'] {
  const address = canonical(asked)
  const pool = pools.find((one) => isFit(one, address))
  if (!pool && pools.some((one) => one.gateway === address)) throw addressTaken(address, network)
  if (!pool)
    throw invalid(
      `Invalid address ${asked}: It does not belong to any of this network's subnets, or no container may have it`,
    )
  if (taken.has(address)) throw addressTaken(address, network)
  return { address, prefix: parseCidr(pool.subnet)?.prefix ?? 0 }
}

const addressTaken = (address: string, { name }: NetworkRow) =>
  fault.permissionDenied('network.address_taken', `Address already in use: ${address} in network ${name}`, {
    params: { address, network: name },
  })
