import type { NetworkInfo, Networks } from '@berth/runtime'

type Endpoint = ReturnType<Networks['endpoints']>[number]

/** docker's word for a network's driver. */
export const driverName = ({ driver }: Pick<NetworkInfo, 'driver'>): string =>
  driver === 'none' ? 'null' : driver

/** `docker network inspect`; `endpoints` are those of running containers. */
export function networkJson(network: NetworkInfo, endpoints: readonly Endpoint[]): unknown {
  return {
    Name: network.name,
    Id: network.id,
    Created: network.createdAt,
    Scope: 'local',
    Driver: driverName(network),
    EnableIPv4: true,
    EnableIPv6: network.ipv6,
    IPAM: {
      Driver: 'default',
      Options: network.isPredefined ? null : {},
      Config: network.pools.map(poolJson),
    },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: Object.fromEntries(endpoints.map((one) => [one.containerId, endpointJson(one)])),
    Options: network.options,
    Labels: network.labels,
  }
}

function poolJson({ subnet, range, gateway, reserved }: NetworkInfo['pools'][number]): object {
  return {
    Subnet: subnet,
    ...(range === undefined ? {} : { IPRange: range }),
    ...(gateway === undefined ? {} : { Gateway: gateway }),
    ...(Object.keys(reserved).length === 0 ? {} : { AuxiliaryAddresses: reserved }),
  }
}

const withPrefix = (held: Endpoint['ipv4']): string => (held ? `${held.address}/${held.prefix}` : '')

const endpointJson = ({ containerName, id, macAddress, ipv4, ipv6 }: Endpoint) => ({
  Name: containerName,
  EndpointID: id,
  MacAddress: macAddress ?? '',
  IPv4Address: withPrefix(ipv4),
  IPv6Address: withPrefix(ipv6),
})
