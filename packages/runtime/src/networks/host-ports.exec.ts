import { fault } from '@berth/core'
import type { PortMapping } from '../api.js'
import { probePort } from '../host/port-probe.js'

const ANY = '0.0.0.0'
const ANY_IPV6 = '::'
const CHOICES_MAX = 100

/** Whether containers of this runtime have the port; the host's programs do not show that, since packet rules bind nothing. */
export type IsPublished = (port: PortMapping) => boolean

/**
 * The ports a container gets: those it names, if no program of this host has them, and free ones where it names none.
 * @throws port.in_use, port.host_ip_missing
 */
export function chooseHostPorts(
  wanted: readonly PortMapping[],
  container: string,
  isPublished: IsPublished,
): readonly PortMapping[] {
  const chosen: PortMapping[] = []
  for (const port of wanted) {
    if (port.hostPort === 0) chosen.push(choose(port, container, isPublished, chosen))
    else {
      if (chosen.some((other) => isSame(other, port))) throw inUse(port, container, 'twice by itself')
      if (!isPublished(port)) assertPortFree(port, container)
      chosen.push(port)
    }
  }
  return chosen
}

const isSame = (a: PortMapping, b: PortMapping): boolean =>
  a.protocol === b.protocol && a.hostPort === b.hostPort && (a.hostIp ?? '') === (b.hostIp ?? '')

function choose(
  port: PortMapping,
  container: string,
  isPublished: IsPublished,
  chosen: readonly PortMapping[],
): PortMapping {
  for (let attempt = 0; attempt < CHOICES_MAX; attempt++) {
    const candidate = { ...port, hostPort: freePort(port, container) }
    if (isPublished(candidate) || chosen.some((other) => isSame(other, candidate))) continue
    if (port.hostIp || isFreeInIpv6(candidate)) return candidate
  }
  throw fault.resourceExhausted(
    'port.none_free',
    `no free ${port.protocol} port was found for container ${container}: name one, or unpublish others`,
  )
}

function freePort(port: PortMapping, container: string): number {
  const outcome = probePort(port.protocol, port.hostIp || ANY, 0)
  if (outcome.kind === 'free') return outcome.port
  // Without such sockets any number will do: one of another protocol's.
  if (outcome.kind === 'unsupported' && port.protocol !== 'udp')
    return freePort({ ...port, protocol: 'udp' }, container)
  throw refused(port, container, outcome.kind)
}

/** @throws port.in_use when a program of this host listens there, port.host_ip_missing */
export function assertPortFree(port: PortMapping, container: string): void {
  const outcome = probePort(port.protocol, port.hostIp || ANY, port.hostPort)
  if (outcome.kind !== 'free' && outcome.kind !== 'unsupported') throw refused(port, container, outcome.kind)
  if (!port.hostIp && !isFreeInIpv6(port)) throw refused(port, container, 'taken')
}

/** Also where this host has no IPv6. */
const isFreeInIpv6 = (port: PortMapping): boolean =>
  probePort(port.protocol, ANY_IPV6, port.hostPort).kind !== 'taken'

function refused(port: PortMapping, container: string, kind: 'taken' | string) {
  if (kind !== 'address_missing') return inUse(port, container, 'by another program on this host')
  return fault.failedPrecondition(
    'port.host_ip_missing',
    `port ${port.hostPort}/${port.protocol} for container ${container}: no interface of this host has the address ${port.hostIp}`,
    { params: { hostIp: port.hostIp ?? '' } },
  )
}

const inUse = (port: PortMapping, container: string, by: string) =>
  fault.failedPrecondition(
    'port.in_use',
    `port ${port.hostPort}/${port.protocol} for container ${container} is in use ${by}: stop it or publish another port`,
    { params: { port: port.hostPort } },
  )
