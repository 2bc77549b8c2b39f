import { fault } from '@berth/core'
import type { ContainerSpec, PortMapping } from '../api.js'
import { isIpAddress } from '../oci/ip-address.js'
import { isSameAddress } from './kernel/address.js'

/** Whether the container gets a cable and an address of its own; `host`, `none` and another container's network have none. */
export const hasCable = (spec: Pick<ContainerSpec, 'network'>): boolean =>
  (spec.network ?? 'bridge') === 'bridge'

/** Whether it has an address of the default network. */
export const isOnDefault = (spec: Pick<ContainerSpec, 'network' | 'networks'>): boolean =>
  hasCable(spec) && (spec.networks === undefined || Object.hasOwn(spec.networks, 'bridge'))

/** In the default network alone a resolver of its own is asked directly, as docker has it. */
export const asksNameServer = (spec: Pick<ContainerSpec, 'network' | 'networks' | 'dns'>): boolean =>
  hasCable(spec) && (spec.networks !== undefined || !spec.dns?.servers?.length)

/**
 * The ports to publish: none where there is no address of its own to lead to (on the host's network its ports are the host's already).
 * @throws container.spec_invalid (another container's network: publish there), port.host_ip_invalid
 */
export function publishedPorts(
  spec: Pick<ContainerSpec, 'name' | 'network' | 'ports'>,
): readonly PortMapping[] {
  const ports = spec.ports ?? []
  if (typeof spec.network === 'object' && ports.length > 0)
    throw fault.invalidArgument(
      'container.spec_invalid',
      `container ${spec.name} shares the network of ${spec.network.container}, so it cannot publish ports: publish them on that container`,
    )
  if (!hasCable(spec)) return []
  for (const { hostIp } of ports) if (hostIp) assertHostIp(hostIp, spec.name)
  return ports
}

function assertHostIp(hostIp: string, container: string): void {
  if (!isIpAddress(hostIp)) throw cannotPublish(hostIp, container, 'it is no IP address')
  if (isSameAddress(hostIp, '::1'))
    throw cannotPublish(
      hostIp,
      container,
      'the kernel leads nothing from ::1 to a container, publish on 127.0.0.1',
    )
}

/** @throws port.host_ip_invalid: an IPv6 address leads to one only, and the container has none */
export function assertPortsLead(container: string, ports: readonly PortMapping[], hasIpv6: boolean): void {
  const lost = ports.find(({ hostIp }) => hostIp?.includes(':') && !hasIpv6)
  if (lost?.hostIp)
    throw cannotPublish(
      lost.hostIp,
      container,
      'it has no IPv6 address to lead to, connect it to a network with IPv6',
    )
}

const cannotPublish = (hostIp: string, container: string, why: string) =>
  fault.invalidArgument(
    'port.host_ip_invalid',
    `container ${container} cannot publish on ${hostIp}: ${why}`,
    { params: { hostIp } },
  )

/** A locally administered address that says which IP address it goes with, so that neighbours' caches never disagree. */
export const macOf = (ip: string): string =>
  ['02', '42', ...ip.split('.').map((octet) => Number(octet).toString(16).padStart(2, '0'))].join(':')

/** @throws network.mac_invalid: not six bytes, or a group's address */
export function parseMac(text: string): string {
  const mac = text.toLowerCase().replaceAll('-', ':')
  const isOne = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac)
  if (isOne && (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0 && mac !== '00:00:00:00:00:00') return mac
  throw fault.invalidArgument(
    'network.mac_invalid',
    `${JSON.stringify(text)} is not a hardware address for one interface, e.g. 02:42:0a:58:00:02`,
  )
}
