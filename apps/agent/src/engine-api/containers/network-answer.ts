import { digestHex, digestOf } from '@berth/core'
import type { ContainerInfo, PortMapping, RuntimeInfo } from '@berth/runtime'
import { findNetwork, networkId } from '../networks/network-json.js'
import { type ContainerView, exposedPorts, isRunning, networkMode } from './container-view.js'

const ANY_ADDRESS = '0.0.0.0'

/** `Ports` of `docker ps`: published ones while it runs, else what is only exposed. */
export function portSummaries(view: ContainerView): readonly object[] {
  if (!isRunning(view.container)) return []
  const published = view.container.ports.map((port) => ({
    IP: port.hostIp ?? ANY_ADDRESS,
    PrivatePort: port.containerPort,
    PublicPort: port.hostPort,
    Type: port.protocol,
  }))
  const exposed = exposedPorts(view)
    .filter((name) => !view.container.ports.some((port) => nameOf(port) === name))
    .map((name) => ({ PrivatePort: Number(name.split('/')[0]), Type: name.split('/')[1] ?? 'tcp' }))
  return [...exposed, ...published]
}

const nameOf = ({ containerPort, protocol }: PortMapping): string => `${containerPort}/${protocol}`

/** `{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": null}`. */
function portMap(view: ContainerView): Readonly<Record<string, unknown>> {
  if (!isRunning(view.container)) return {}
  const names = exposedPorts(view)
  const bindings = (name: string) =>
    view.container.ports
      .filter((port) => nameOf(port) === name)
      .map((port) => ({ HostIp: port.hostIp ?? ANY_ADDRESS, HostPort: String(port.hostPort) }))
  return Object.fromEntries(names.map((name) => [name, bindings(name).length > 0 ? bindings(name) : null]))
}

/** One network's entry, as inspect and list have it. */
export function endpoints(container: ContainerInfo, host: RuntimeInfo): Readonly<Record<string, object>> {
  const mode = networkMode(container.spec)
  const network = findNetwork(host.id, mode)
  if (!network) return {}
  return { [network]: { ...addresses(container, host), NetworkID: networkId(host.id, network), ...EMPTY } }
}

const EMPTY = {
  IPAMConfig: null,
  Links: null,
  Aliases: null,
  DriverOpts: null,
  IPv6Gateway: '',
  GlobalIPv6Address: '',
  GlobalIPv6PrefixLen: 0,
  DNSNames: null,
}

function addresses(container: ContainerInfo, { network }: RuntimeInfo) {
  const { ipAddress, macAddress } = container
  const isUp = isRunning(container) && ipAddress !== undefined
  return {
    EndpointID: isUp ? digestHex(digestOf(`${container.id}/endpoint`)) : '',
    Gateway: isUp ? network.gateway : '',
    IPAddress: isUp ? ipAddress : '',
    IPPrefixLen: isUp ? Number(network.subnet.split('/')[1] ?? 0) : 0,
    MacAddress: isUp ? (macAddress ?? '') : '',
  }
}

export function networkSettings(view: ContainerView, host: RuntimeInfo): object {
  const { container } = view
  const isBridge = networkMode(container.spec) === 'bridge'
  const top = isBridge
    ? addresses(container, host)
    : { EndpointID: '', Gateway: '', IPAddress: '', IPPrefixLen: 0, MacAddress: '' }
  return {
    Bridge: '',
    SandboxID: isRunning(container) ? container.id : '',
    SandboxKey: container.pid ? `/proc/${container.pid}/ns/net` : '',
    Ports: portMap(view),
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    ...top,
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    IPv6Gateway: '',
    Networks: endpoints(container, host),
  }
}
