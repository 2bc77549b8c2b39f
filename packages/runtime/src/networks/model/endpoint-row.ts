import type { EndpointInfo } from '../../api.js'
import type { InterfaceAddress } from '../host-view.js'

/** A container's place in a network as it is stored in the container's row. Addresses are those of its run, or of its life where they are held. */
export interface EndpointRow extends Omit<EndpointInfo, 'dnsNames'> {
  /** `eth0`, `eth1`, … */
  readonly interfaceName: string
}

/** Name of the host's end of its cable. */
export const cableOf = ({ id }: Pick<EndpointRow, 'id'>): string => `v${id.slice(0, 12)}`

export const freeInterface = (endpoints: readonly Pick<EndpointRow, 'interfaceName'>[]): string => {
  const taken = new Set(endpoints.map(({ interfaceName }) => interfaceName))
  for (let at = 0; ; at++) if (!taken.has(`eth${at}`)) return `eth${at}`
}

/** In the order in which a network is asked for the default gateway: priority, then name. */
export const byPriority = (a: EndpointRow, b: EndpointRow): number =>
  (b.spec.gatewayPriority ?? 0) - (a.spec.gatewayPriority ?? 0) ||
  (a.networkName < b.networkName ? -1 : a.networkName > b.networkName ? 1 : 0)

export interface ChosenGateway {
  readonly endpointId: string
  readonly interfaceName: string
  readonly gateway: string
}

/** One default route per address family, through the first network that has a way out; internal ones have none. */
export function chooseGateways(endpoints: readonly EndpointRow[]): readonly ChosenGateway[] {
  const sorted = [...endpoints].sort(byPriority)
  return (['gateway', 'gatewayIpv6'] as const).flatMap((field) => {
    const chosen = sorted.find((endpoint) => endpoint[field])
    return chosen
      ? [{ endpointId: chosen.id, interfaceName: chosen.interfaceName, gateway: chosen[field] ?? '' }]
      : []
  })
}

/** Published ports lead to this one: that of the IPv4 gateway, as docker has it. */
export function portEndpoint(endpoints: readonly EndpointRow[]): EndpointRow | undefined {
  const [first] = chooseGateways(endpoints)
  return endpoints.find(({ id, ipv4 }) => id === first?.endpointId && ipv4 !== undefined)
}

/** Link-local ones have the prefix of their block (RFC 3927, RFC 4291). */
export const interfaceAddresses = ({ ipv4, ipv6, spec }: EndpointRow): readonly InterfaceAddress[] => [
  ...[ipv4, ipv6].flatMap((held) => (held ? [{ ip: held.address, prefix: held.prefix }] : [])),
  ...(spec.linkLocalIps ?? []).map((ip) => ({ ip, prefix: ip.includes(':') ? 64 : 16 })),
]
