import { createHash } from 'node:crypto'
import type { Filters } from '@berth/engine-api'
import type { ContainerInfo, RuntimeInfo } from '@berth/runtime'

/** The three networks every docker host has. Ids are made from the engine's own, so that they stay the same for ever. */
export const NETWORKS = ['bridge', 'host', 'none'] as const
export type NetworkName = (typeof NETWORKS)[number]

export const networkId = (engineId: string, name: NetworkName): string =>
  createHash('sha256').update(`${engineId}/network/${name}`).digest('hex')

/** By name, id or unique id prefix. */
export function findNetwork(engineId: string, nameOrId: string): NetworkName | undefined {
  const byName = NETWORKS.find((name) => name === nameOrId)
  if (byName || nameOrId === '') return byName
  const matches = NETWORKS.filter((name) => networkId(engineId, name).startsWith(nameOrId))
  return matches.length === 1 ? matches[0] : undefined
}

export const networkOf = ({ spec }: ContainerInfo): NetworkName | undefined =>
  typeof spec.network === 'object' ? undefined : (spec.network ?? 'bridge')

/** `docker network inspect`; `containers` are the running ones. */
export function networkJson(
  name: NetworkName,
  runtime: RuntimeInfo,
  createdAt: string,
  containers: readonly ContainerInfo[],
): unknown {
  const { bridge, subnet, gateway } = runtime.network
  const attached = containers.filter((container) => networkOf(container) === name)
  return {
    Name: name,
    Id: networkId(runtime.id, name),
    Created: createdAt,
    Scope: 'local',
    Driver: name === 'none' ? 'null' : name,
    EnableIPv6: false,
    IPAM: {
      Driver: 'default',
      Options: null,
      Config: name === 'bridge' ? [{ Subnet: subnet, Gateway: gateway }] : [],
    },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: Object.fromEntries(attached.map((container) => [container.id, endpoint(container, subnet)])),
    Options: name === 'bridge' ? bridgeOptions(bridge) : {},
    Labels: {},
  }
}

const endpoint = ({ id, spec, ipAddress, macAddress }: ContainerInfo, subnet: string) => ({
  Name: spec.name,
  EndpointID: createHash('sha256').update(`${id}/endpoint`).digest('hex'),
  MacAddress: macAddress ?? '',
  IPv4Address: ipAddress === undefined ? '' : `${ipAddress}/${subnet.split('/')[1] ?? ''}`,
  IPv6Address: '',
})

const bridgeOptions = (bridge: string) => ({
  'com.docker.network.bridge.default_bridge': 'true',
  'com.docker.network.bridge.enable_icc': 'true',
  'com.docker.network.bridge.enable_ip_masquerade': 'true',
  'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
  'com.docker.network.bridge.name': bridge,
  'com.docker.network.driver.mtu': '1500',
})

export const NETWORK_FILTERS = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type'] as const

/** `docker network ls --filter`: names and ids by part. */
export function matchesNetwork(engineId: string, name: NetworkName, filters: Filters): boolean {
  const id = networkId(engineId, name)
  return (
    filters.allows('driver', name === 'none' ? 'null' : name) &&
    filters.allowsSome('id', (part) => id.includes(part)) &&
    filters.allowsLabels({}) &&
    filters.allowsSome('name', (pattern) => fitsAnchored(pattern, name)) &&
    filters.allows('scope', 'local') &&
    filters.allows('type', 'builtin') &&
    filters.bool('dangling') !== true
  )
}

/** A part of the name, or its beginning or end where the pattern says so with `^` or `$`. */
function fitsAnchored(pattern: string, name: string): boolean {
  const text = pattern.replace(/^\^/, '').replace(/\$$/, '')
  const [isFirst, isLast] = [pattern.startsWith('^'), pattern.endsWith('$')]
  if (isFirst && isLast) return name === text
  if (isFirst) return name.startsWith(text)
  return isLast ? name.endsWith(text) : name.includes(text)
}
