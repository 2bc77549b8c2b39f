import { digestHex, digestOf } from '@berth/core'
import type { ContainerInfo, EndpointInfo, PortMapping, RuntimeInfo } from '@berth/runtime'
import { type ContainerView, exposedPorts, isRunning, networkMode } from './container-view.js'
import { said } from './sent-body.js'

/** One that was published without an address is on all of the families it leads to. */
const hostIps = ({ hostIp }: PortMapping, { endpoints = [] }: ContainerInfo): readonly string[] => {
  if (hostIp) return [hostIp]
  return endpoints.some(({ ipv6, gateway }) => ipv6 && gateway) ? ['0.0.0.0', '::'] : ['0.0.0.0']
}

/** `Ports` of `docker ps`: published ones while it runs, else what is only exposed. */
export function portSummaries(view: ContainerView): readonly object[] {
  if (!isRunning(view.container)) return []
  const published = view.container.ports.flatMap((port) =>
    hostIps(port, view.container).map((IP) => ({
      ...{ IP, PrivatePort: port.containerPort, PublicPort: port.hostPort, Type: port.protocol },
    })),
  )
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
      .flatMap((port) =>
        hostIps(port, view.container).map((HostIp) => ({ HostIp, HostPort: String(port.hostPort) })),
      )
  return Object.fromEntries(names.map((name) => [name, bindings(name).length > 0 ? bindings(name) : null]))
}

/** Each network's entry, as inspect and list have it. */
export function endpoints(container: ContainerInfo, host: RuntimeInfo): Readonly<Record<string, object>> {
  if (container.endpoints)
    return Object.fromEntries(
      container.endpoints.map((one) => [one.networkName, endpointAnswer(container, one)]),
    )
  const mode = networkMode(container.spec)
  if (mode !== 'bridge' && mode !== 'host' && mode !== 'none') return {}
  const NetworkID = host.networkIds[mode]
  return { [mode]: { ...EMPTY, ...addresses(container, host), NetworkID } }
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

function endpointAnswer(container: ContainerInfo, endpoint: EndpointInfo): object {
  const { spec, dnsNames, networkId } = endpoint
  const { ipv4, ipv6, linkLocalIps } = spec
  const isUser = endpoint.networkName !== 'bridge'
  const hasConfig = ipv4 !== undefined || ipv6 !== undefined || linkLocalIps !== undefined
  return {
    ...EMPTY,
    IPAMConfig: hasConfig
      ? said({ IPv4Address: ipv4, IPv6Address: ipv6, LinkLocalIPs: linkLocalIps })
      : isUser
        ? {}
        : null,
    Links: spec.links ?? null,
    Aliases: isUser ? [...(spec.aliases ?? []), container.id.slice(0, 12)] : null,
    DNSNames: isUser ? dnsNames : null,
    GwPriority: spec.gatewayPriority ?? 0,
    NetworkID: networkId,
    ...endpointAddresses(container, endpoint),
  }
}

function endpointAddresses(container: ContainerInfo, endpoint: EndpointInfo | undefined) {
  const { id, ipv4, ipv6, gateway, gatewayIpv6, macAddress } = endpoint ?? {}
  return {
    EndpointID: endpoint && isRunning(container) ? id : '',
    Gateway: gateway ?? '',
    IPAddress: ipv4?.address ?? '',
    IPPrefixLen: ipv4?.prefix ?? 0,
    IPv6Gateway: gatewayIpv6 ?? '',
    GlobalIPv6Address: ipv6?.address ?? '',
    GlobalIPv6PrefixLen: ipv6?.prefix ?? 0,
    MacAddress: macAddress ?? endpoint?.spec.macAddress ?? '',
  }
}

/** Of a container in the default network alone. */
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

/** docker shows those of the default network once more beside the networks. */
function topAddresses(container: ContainerInfo, host: RuntimeInfo): object {
  const none = endpointAddresses(container, undefined)
  if (container.endpoints)
    return endpointAddresses(
      container,
      container.endpoints.find(({ networkName }) => networkName === 'bridge'),
    )
  return networkMode(container.spec) === 'bridge' ? { ...none, ...addresses(container, host) } : none
}

export function networkSettings(view: ContainerView, host: RuntimeInfo): object {
  const { container } = view
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
    ...topAddresses(container, host),
    Networks: endpoints(container, host),
  }
}
