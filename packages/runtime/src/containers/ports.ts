import { fault } from '@berth/core'
import type { ContainerState, PortMapping } from '../api.js'
import { type EndpointRow, portEndpoint } from '../networks/model/endpoint-row.js'
import type { PublishedEndpoint } from '../networks/plan-rules.js'
import { isUp } from './lifecycle.js'

interface Holder {
  readonly name: string
  readonly ports: readonly PortMapping[]
}

const overlaps = (a: string | undefined, b: string | undefined): boolean => {
  const any = (ip: string | undefined) => ip === undefined || ip === '' || ip === '0.0.0.0'
  return any(a) || any(b) || a === b
}

/** Two containers may share a host port only in the same group. @throws port.in_use naming port and holder */
export function assertPortsFree(
  name: string,
  wanted: readonly PortMapping[],
  holders: readonly Holder[],
): void {
  for (const port of wanted) {
    if (port.hostPort === 0) continue
    for (const holder of holders) {
      const clash = holder.ports.find(
        (held) =>
          held.hostPort === port.hostPort &&
          held.protocol === port.protocol &&
          overlaps(held.hostIp, port.hostIp) &&
          (held.group === undefined || held.group !== port.group),
      )
      if (!clash) continue
      throw fault.failedPrecondition(
        'port.in_use',
        `port ${port.hostPort}/${port.protocol} for container ${name} is published by container ${holder.name}: publish another port`,
        {
          params: { port: port.hostPort, holder: holder.name },
        },
      )
    }
  }
}

interface Publisher {
  readonly state: ContainerState
  readonly ipAddress: string | undefined
  readonly endpoints?: readonly EndpointRow[]
  readonly ports: readonly PortMapping[]
  readonly published: boolean
}

/** `networkId` is absent for the default network. */
export type Published = PublishedEndpoint & { readonly networkId?: string | undefined }

/** What the packet rules must say: exclusive ports while it is up, grouped ones only while published. */
export function endpointsOf(containers: readonly Publisher[]): readonly Published[] {
  return containers.filter(isUp).flatMap((container) => {
    const place = placeOf(container)
    if (!place) return []
    return container.ports
      .filter((port) => port.group === undefined || container.published)
      .map(({ protocol, hostIp, hostPort, containerPort }) => ({
        ...{ protocol, hostIp, hostPort, containerPort },
        ...place,
      }))
  })
}

function placeOf({ ipAddress, endpoints }: Publisher): Pick<Published, 'ip' | 'networkId'> | undefined {
  if (!endpoints) return ipAddress === undefined ? undefined : { ip: ipAddress }
  const endpoint = portEndpoint(endpoints)
  if (!endpoint?.ipv4) return undefined
  // The default network has another id among the rules.
  return endpoint.networkName === 'bridge'
    ? { ip: endpoint.ipv4.address }
    : { ip: endpoint.ipv4.address, networkId: endpoint.networkId }
}
