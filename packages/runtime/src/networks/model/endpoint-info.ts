import type { ContainerSpec, ContainerState, EndpointInfo } from '../../api.js'
import type { EndpointRow } from './endpoint-row.js'

interface Named {
  readonly id: string
  readonly spec: ContainerSpec
}

/** What a container is called in a network, beginning with its name: also its short id, its hostname and its aliases. */
export function dnsNames({ id, spec }: Named, aliases: readonly string[] = []): readonly string[] {
  const names = [spec.name, id.slice(0, 12), ...(spec.hostname ? [spec.hostname] : []), ...aliases]
  return [...new Set(names)]
}

/** Addresses are shown of a container that is up only, as docker does. */
export function endpointInfo(
  container: Named & { readonly state: ContainerState },
  endpoint: EndpointRow,
): EndpointInfo {
  const { networkId, networkName, id, spec, ipv4, ipv6, gateway, gatewayIpv6, macAddress } = endpoint
  const isUp = container.state === 'running' || container.state === 'paused'
  return {
    ...{ networkId, networkName, id, spec },
    ...(isUp && ipv4 ? { ipv4 } : {}),
    ...(isUp && ipv6 ? { ipv6 } : {}),
    ...(isUp && gateway ? { gateway } : {}),
    ...(isUp && gatewayIpv6 ? { gatewayIpv6 } : {}),
    ...(isUp && macAddress ? { macAddress } : {}),
    dnsNames: dnsNames(container, spec.aliases),
  }
}
