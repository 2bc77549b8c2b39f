import type { ContainerSpec, ImageConfig, PortMapping } from '@berth/runtime'
import { compact, unlessEmpty } from './compact.js'
import type { CreateBody } from './create-body.js'
import { refuse } from './refuse.js'
import { endpointSpec } from './spec-endpoint.js'

type Network = NonNullable<ContainerSpec['network']>

const PORT_MAX = 65_535
const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const

/** `bridge`, `host`, `none`, `container:NAME`; undefined is a network that is not here. */
export function networkOf(mode: string | undefined): Network | undefined {
  if (mode === undefined || mode === '' || mode === 'default' || mode === 'bridge') return 'bridge'
  if (mode === 'host' || mode === 'none') return mode
  return mode.startsWith('container:') ? { container: mode.slice('container:'.length) } : undefined
}

/** `bridge`, under each of docker's names for it. */
const isDefault = (name: string): boolean => name === '' || name === 'default' || name === 'bridge'

type Networks = NonNullable<ContainerSpec['networks']>

/**
 * The networks a body asks for, the one of its mode first; `undefined` where it is in the default network alone or has none of its own. Those
 * that are not there are kept, as docker does: such a container can be made, and started when they are there.
 */
export function networksOf(body: CreateBody): Networks | undefined {
  const mode = body.HostConfig?.NetworkMode ?? ''
  if (typeof networkOf(mode) === 'object' || mode === 'host' || mode === 'none') return undefined
  const given = Object.entries(body.NetworkingConfig?.EndpointsConfig ?? {})
  const wanted = new Map(
    given.map(([name, config]) => [isDefault(name) ? 'bridge' : name, endpointSpec(config)]),
  )
  const first = isDefault(mode) ? (wanted.size > 0 ? [...wanted.keys()].sort()[0] : 'bridge') : mode
  const chief = wanted.has('bridge') && isDefault(mode) ? 'bridge' : (first ?? 'bridge')
  const names = [chief, ...[...wanted.keys()].filter((name) => name !== chief).sort()]
  if (names.length === 1 && chief === 'bridge') return undefined
  return Object.fromEntries(names.map((name) => [name, wanted.get(name) ?? {}]))
}

/** Names, addresses and ports. @throws engine.create_invalid */
export function networkingOf(body: CreateBody, image: ImageConfig): Partial<ContainerSpec> {
  const host = body.HostConfig
  const networks = networksOf(body)
  const network = networks ? 'bridge' : (networkOf(host?.NetworkMode) ?? 'bridge')
  assertFits(body, network)
  const ports = network === 'bridge' ? unlessEmpty(portsOf(body, image)) : undefined
  return compact<Partial<ContainerSpec>>({
    network: network === 'bridge' ? undefined : network,
    networks,
    hostname: unlessEmpty(body.Hostname),
    domainname: unlessEmpty(body.Domainname),
    extraHosts: unlessEmpty(host?.ExtraHosts),
    dns: dnsOf(body),
    macAddress: unlessEmpty(macAddressOf(body, networks)),
    ports,
    portsHeld: ports || networks ? 'while-up' : undefined,
  })
}

function dnsOf({ HostConfig }: CreateBody): ContainerSpec['dns'] {
  const dns = compact<NonNullable<ContainerSpec['dns']>>({
    servers: unlessEmpty(HostConfig?.Dns),
    search: unlessEmpty(HostConfig?.DnsSearch),
    options: unlessEmpty(HostConfig?.DnsOptions),
  })
  return Object.keys(dns).length === 0 ? undefined : dns
}

/** That of an endpoint goes with the endpoint, where there are endpoints. */
const macAddressOf = (
  { MacAddress, NetworkingConfig }: CreateBody,
  networks: Networks | undefined,
): string | undefined =>
  unlessEmpty(MacAddress) ??
  (networks
    ? undefined
    : Object.values(NetworkingConfig?.EndpointsConfig ?? {}).find((endpoint) => endpoint?.MacAddress)
        ?.MacAddress)

/** docker's refusals of what cannot go together. */
function assertFits(body: CreateBody, network: Network): void {
  const host = body.HostConfig
  if (host?.UTSMode === 'host' && body.Hostname)
    throw refuse('conflicting options: hostname and the UTS mode')
  if (network === 'host' && host?.Links?.length)
    throw refuse(
      "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
    )
  assertEndpointsFit(body)
  if (typeof network !== 'object') return
  const conflicts: readonly [unknown, string][] = [
    [body.Hostname, 'hostname and the network mode'],
    [
      host?.Links?.length,
      "container type network can't be used with links. This would result in undefined behavior",
    ],
    [host?.Dns?.length, 'dns and the network mode'],
    [host?.ExtraHosts?.length, 'custom host-to-IP mapping and the network mode'],
    [macAddressOf(body, undefined), 'mac-address and the network mode'],
    [Object.keys(host?.PortBindings ?? {}).length, 'port publishing and the container type network mode'],
    [host?.PublishAllPorts, 'port publishing and the container type network mode'],
    [Object.keys(body.ExposedPorts ?? {}).length, 'port exposing and the container type network mode'],
  ]
  const [conflict] = conflicts.filter(([given]) => given)
  if (conflict) throw refuse(`conflicting options: ${conflict[1]}`)
}

/** Of the networks that every host has, docker refuses addresses and names of one's own. */
function assertEndpointsFit({ NetworkingConfig }: CreateBody): void {
  for (const [name, endpoint] of Object.entries(NetworkingConfig?.EndpointsConfig ?? {})) {
    const { IPv4Address, IPv6Address } = endpoint?.IPAMConfig ?? {}
    if (networkOf(name) === undefined) continue
    if (IPv4Address || IPv6Address)
      throw refuse('user specified IP address is supported on user defined networks only')
    if (endpoint?.Aliases?.length)
      throw refuse('network-scoped alias is supported only for containers in user defined networks')
  }
}

export function portsOf(body: CreateBody, image: ImageConfig): readonly PortMapping[] {
  const bindings = Object.entries(body.HostConfig?.PortBindings ?? {})
  const bound = bindings.flatMap(([port, hosts]) =>
    (hosts?.length ? hosts : [{ HostIp: '', HostPort: '' }]).map((at) =>
      compact<PortMapping>({
        ...parsePort(port),
        hostPort: hostPortOf(at.HostPort ?? ''),
        hostIp: at.HostIp || undefined,
        group: undefined,
      }),
    ),
  )
  if (!body.HostConfig?.PublishAllPorts) return bound
  const isBound = (port: Port) =>
    bound.some((one) => one.containerPort === port.containerPort && one.protocol === port.protocol)
  const exposed = [...Object.keys(body.ExposedPorts ?? {}), ...image.exposedPorts].map(parsePort)
  const free = exposed.filter(
    (port, at) =>
      !isBound(port) &&
      exposed.findIndex(
        (one) => one.containerPort === port.containerPort && one.protocol === port.protocol,
      ) === at,
  )
  return [...bound, ...free.map((port) => ({ ...port, hostPort: 0 }))]
}

type Port = Pick<PortMapping, 'containerPort' | 'protocol'>

/** `80/tcp`, `53/udp`, `80`. @throws engine.create_invalid */
export function parsePort(text: string): Port {
  const [number = '', protocol = 'tcp'] = text.split('/')
  const known = PROTOCOLS.find((name) => name === protocol.toLowerCase())
  if (!known || !isPort(number)) throw refuse(`invalid port specification: "${text.slice(0, 100)}"`)
  return { containerPort: Number(number), protocol: known }
}

/** A range of host ports for one port takes its first. */
function hostPortOf(text: string): number {
  const [first = ''] = text.split('-')
  if (first === '' || first === '0') return 0
  if (!isPort(first)) throw refuse(`invalid port specification: "${text.slice(0, 100)}"`)
  return Number(first)
}

const isPort = (text: string): boolean =>
  /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= PORT_MAX
