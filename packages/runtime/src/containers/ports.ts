import { fault } from '@berth/core'
import type { ContainerState, PortMapping } from '../api.js'
import { familyOf, isSameAddress } from '../networks/kernel/address.js'
import { type EndpointRow, portEndpoint } from '../networks/model/endpoint-row.js'
import type { PublishedEndpoint } from '../networks/plan-rules.js'
import { isUp } from './lifecycle.js'

interface Holder {
  readonly name: string
  readonly ports: readonly PortMapping[]
}

/** Without an address it is all of both families. */
const overlaps = (a: string | undefined, b: string | undefined): boolean => {
  if (!a || !b) return true
  if (familyOf(a) !== familyOf(b)) return false
  const isAny = (ip: string) => ip === '0.0.0.0' || isSameAddress(ip, '::')
  return isAny(a) || isAny(b) || isSameAddress(a, b)
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
    const ports = container.ports.filter((port) => port.group === undefined || container.published)
    return placesOf(container).flatMap((place) =>
      ports
        .filter(({ hostIp }) => !hostIp || familyOf(hostIp) === familyOf(place.ip))
        .map(({ protocol, hostIp, hostPort, containerPort }) => ({
          ...{ protocol, hostIp, hostPort, containerPort },
          ...place,
        })),
    )
  })
}

/** Of each family that it has: a publication leads to the address of its own family. */
function placesOf({ ipAddress, endpoints }: Publisher): readonly Pick<Published, 'ip' | 'networkId'>[] {
  if (!endpoints) return ipAddress === undefined ? [] : [{ ip: ipAddress }]
  const endpoint = portEndpoint(endpoints)
  if (!endpoint) return []
  // The default network has another id among the rules.
  const network = endpoint.networkName === 'bridge' ? {} : { networkId: endpoint.networkId }
  return [endpoint.ipv4, endpoint.ipv6].flatMap((held) => (held ? [{ ip: held.address, ...network }] : []))
}
