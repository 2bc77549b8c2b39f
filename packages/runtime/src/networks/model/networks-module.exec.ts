import { randomBytes } from 'node:crypto'
import { failpoint, fault, type Logger } from '@berth/core'
import type { ContainerSpec, EndpointSpec, NetworkInfo, NetworkSpec } from '../../api.js'
import type { ContainerRow, ContainerStore } from '../../containers/containers.store.js'
import type { NameSource } from '../../dns/name-source.js'
import type { NewEvent } from '../../event-log.js'
import type { Metadata } from '../../metadata.store.js'
import type { HostNetwork, HostNetworks, Plug } from '../host-view.js'
import { isOnDefault } from '../modes.js'
import type { BridgeNetwork } from '../network.exec.js'
import { cableOf, chooseGateways, type EndpointRow, interfaceAddresses } from './endpoint-row.js'
import { hostRoutes } from './host-routes.exec.js'
import { leaseAddresses } from './lease-endpoint.js'
import { NetworkNames } from './names.js'
import { HOST_BINDING, hostNetworkOf, type NetworkRow } from './network-row.js'
import { NetworkStore, networkNotFound } from './networks.store.js'
import { planNetwork } from './plan-network.js'
import { predefinedNetworks } from './predefined.js'

export interface NetworksDeps {
  readonly metadata: Metadata
  readonly containers: ContainerStore
  readonly bridge: BridgeNetwork
  readonly engineId: string
  readonly logger: Logger
  /** Running, or about to: its networks are in use. */
  isActive(row: ContainerRow): boolean
  /** Its addresses are its own now. */
  isHolding(row: ContainerRow): boolean
  emit(event: NewEvent): void
}

/**
 * Networks as rows, and the endpoints of containers in them. Who has which address is read from the rows of the containers each time, so that no
 * lease can outlive its container.
 */
export class NetworksModule {
  readonly store: NetworkStore
  private readonly last = new Map<string, { ipv4?: string; ipv6?: string }>()

  constructor(private readonly deps: NetworksDeps) {
    const { bridge, engineId, metadata } = deps
    const predefined = predefinedNetworks(engineId, new Date().toISOString(), {
      bridge: bridge.network.link,
      subnet: bridge.subnet,
    })
    this.store = new NetworkStore(metadata, predefined)
  }

  /** What the name server asks. */
  names(hostResolvers: () => readonly string[]): NameSource {
    const { containers } = this.deps
    return new NetworkNames({
      version: () => containers.version,
      containers: () => containers.list().filter((row) => this.deps.isActive(row)),
      find: (id) => containers.find(id),
      endpointsOf: (row) => this.endpointsOf(row),
      isInternal: (networkId) => this.store.find(networkId)?.internal ?? false,
      hostResolvers,
    })
  }

  get kernel(): HostNetworks {
    return this.deps.bridge.kernel
  }

  get defaultId(): string {
    return this.store.get('bridge').id
  }

  hostNetwork(row: NetworkRow): HostNetwork {
    return row.name === 'bridge' ? this.deps.bridge.network : hostNetworkOf(row)
  }

  /** The host's address for ports that name none: what the network says that they lead through. */
  hostBindingOf({ networks = {} }: Pick<ContainerSpec, 'networks'>): string | undefined {
    const [through] = Object.entries(networks)
      .flatMap(([name, { gatewayPriority: priority = 0 }]) => {
        const row = this.store.find(name)
        return row && !row.internal ? [{ row, priority }] : []
      })
      .sort((a, b) => b.priority - a.priority || (a.row.name < b.row.name ? -1 : 1))
    const binding = through?.row.options[HOST_BINDING]
    return binding === '0.0.0.0' ? undefined : binding || undefined
  }

  // ---- networks ---------------------------------------------------------------------------------

  /** Name and subnets are taken before anything is awaited, so that two cannot both have them. */
  async create(spec: NetworkSpec): Promise<NetworkInfo> {
    const row = planNetwork(spec, {
      id: randomBytes(32).toString('hex'),
      createdAt: new Date().toISOString(),
      hostId: this.deps.engineId,
      networks: this.store.list(),
      hostRoutes: hostRoutes(),
    })
    this.store.add(row)
    try {
      await failpoint('network.create.after_row')
      // What a power failure takes from the disk it takes from the kernel too.
      await Promise.all([this.kernel.ensure(hostNetworkOf(row)), this.store.durable()])
    } catch (error) {
      await this.kernel.remove(hostNetworkOf(row))
      this.store.remove(row.id)
      throw error
    }
    await failpoint('network.create.after_link')
    this.tell('create', row)
    return row
  }

  /** Nobody finds it from here on; its row goes last, so that a crash leaves the network whole or gone. */
  async remove(nameOrId: string): Promise<void> {
    const row = this.store.get(nameOrId)
    if (row.isPredefined)
      throw fault.permissionDenied(
        'network.predefined',
        `${row.name} is a pre-defined network and cannot be removed`,
      )
    const users = this.usersOf(row.id)
    if (users.length > 0) throw inUse(row, users)
    this.store.hide(row.id)
    try {
      await this.kernel.remove(hostNetworkOf(row))
      await failpoint('network.remove.after_link')
    } catch (error) {
      this.store.show(row)
      throw error
    }
    this.store.remove(row.id)
    this.last.delete(row.id)
    await this.store.durable()
    this.tell('destroy', row)
  }

  /** Containers that are up in it. */
  usersOf(networkId: string): readonly ContainerRow[] {
    return this.deps.containers
      .list()
      .filter(
        (row) => this.deps.isActive(row) && this.endpointsOf(row).some((one) => one.networkId === networkId),
      )
  }

  // ---- endpoints --------------------------------------------------------------------------------

  /** That of the default network is not written down where a container is in no other. */
  endpointsOf(row: ContainerRow): readonly EndpointRow[] {
    if (row.endpoints) return row.endpoints
    return isOnDefault(row.spec) ? [this.defaultEndpoint(row)] : []
  }

  private defaultEndpoint({ id, ipAddress, macAddress }: ContainerRow): EndpointRow {
    const { prefix, gateway } = this.deps.bridge.subnet
    return {
      ...{ networkId: this.defaultId, networkName: 'bridge', interfaceName: 'eth0', spec: {}, gateway },
      // Its cable is named after the container.
      id,
      ...(ipAddress === undefined ? {} : { ipv4: { address: ipAddress, prefix } }),
      ...(macAddress === undefined ? {} : { macAddress }),
    }
  }

  /** Of a new container, without addresses; networks that are not there yet are looked for at its start. */
  plan(networks: NonNullable<ContainerSpec['networks']>): readonly EndpointRow[] {
    return Object.entries(networks).map(([nameOrId, spec], at) =>
      this.newEndpoint(nameOrId, spec, `eth${at}`),
    )
  }

  newEndpoint(nameOrId: string, spec: EndpointSpec, interfaceName: string): EndpointRow {
    const network = this.store.find(nameOrId)
    return {
      ...{ networkId: network?.id ?? '', networkName: network?.name ?? nameOrId, spec, interfaceName },
      id: randomBytes(32).toString('hex'),
    }
  }

  /** The endpoints with addresses nobody else has now. Nothing may be awaited until they are written down. @throws network.not_found, what `leaseAddresses` throws */
  lease(row: ContainerRow): readonly EndpointRow[] {
    return (row.endpoints ?? []).map((endpoint) => this.leaseOne(row, endpoint))
  }

  leaseOne(row: ContainerRow, endpoint: EndpointRow): EndpointRow {
    const network = this.store.find(endpoint.networkId) ?? this.store.named(endpoint.networkName)
    if (!network) throw networkNotFound(endpoint.networkName)
    const { id, spec, interfaceName } = endpoint
    const got = leaseAddresses(withMac(row, endpoint), {
      network,
      taken: this.takenBesides(row, network.id),
      last: this.last.get(network.id) ?? {},
      endpointId: id,
      leased: network.name === 'bridge' ? row.ipAddress : undefined,
    })
    this.last.set(network.id, {
      ...(got.ipv4 ? { ipv4: got.ipv4.address } : {}),
      ...(got.ipv6 ? { ipv6: got.ipv6.address } : {}),
    })
    return { id, spec, interfaceName, networkId: network.id, networkName: network.name, ...got }
  }

  private takenBesides({ id }: ContainerRow, networkId: string): ReadonlySet<string> {
    const taken = new Set<string>()
    for (const row of this.deps.containers.list()) {
      if (row.id === id || !row.endpoints || !this.deps.isHolding(row)) continue
      for (const endpoint of row.endpoints)
        if (endpoint.networkId === networkId)
          for (const held of [endpoint.ipv4, endpoint.ipv6]) if (held) taken.add(held.address)
    }
    return taken
  }

  // ---- kernel -----------------------------------------------------------------------------------

  /** Plugs a created container's namespace into all its networks. Idempotent. */
  async plugIn(row: ContainerRow, pid: number): Promise<void> {
    if (!row.endpoints?.length) return this.kernel.loopbackOnly(pid)
    for (const endpoint of row.endpoints) await this.kernel.plugIn(this.plug(row, endpoint, pid))
    this.rememberGifts(row)
  }

  /** Takes away what does not go with the namespace: a CNI plugin's addresses. Idempotent. */
  async plugOut(row: ContainerRow): Promise<void> {
    for (const endpoint of row.endpoints ?? []) {
      const network = this.store.find(endpoint.networkId)
      if (network?.driver !== 'cni') continue
      await this.kernel.unplug(this.plug(row, endpoint, row.process?.pid ?? 0))
    }
  }

  plug(row: ContainerRow, endpoint: EndpointRow, pid: number): Plug {
    const network = this.store.find(endpoint.networkId)
    if (!network) throw networkNotFound(endpoint.networkName)
    const gateways = chooseGateways(this.endpointsOf(row)).filter(
      ({ endpointId }) => endpointId === endpoint.id,
    )
    return {
      ...{ network: this.hostNetwork(network), pid, cable: cableOf(endpoint) },
      interfaceName: endpoint.interfaceName,
      addresses: interfaceAddresses(endpoint),
      macAddress: endpoint.macAddress,
      gateways: gateways.map(({ gateway }) => gateway),
      hasPorts: row.ports.length > 0,
    }
  }

  /** A driver that has addresses of its own says which it gave. */
  private rememberGifts(row: ContainerRow): void {
    const endpoints = (row.endpoints ?? []).map((endpoint) => {
      const network = this.store.find(endpoint.networkId)
      if (network?.driver !== 'cni') return endpoint
      const gift = this.kernel.giftOf(this.plug(row, endpoint, 0))
      return gift ? { ...endpoint, ...giftFields(gift) } : endpoint
    })
    if (endpoints.some((endpoint, at) => endpoint !== row.endpoints?.[at]))
      this.deps.containers.remember(row.id, { endpoints })
  }

  /** After a restart of the agent: bridges as they were. What cannot be had is told and keeps nobody from being opened. */
  async recover(): Promise<void> {
    for (const network of this.store.damaged)
      this.deps.logger.error({ network }, 'the record of a network cannot be read')
    for (const row of this.store.list()) {
      if (row.isPredefined) continue
      await this.kernel.ensure(hostNetworkOf(row)).catch((error: unknown) => {
        this.deps.logger.error({ network: row.name, error: String(error) }, 'a network cannot be brought up')
      })
    }
  }

  // ---- events -----------------------------------------------------------------------------------

  tell(action: 'create' | 'destroy' | 'connect' | 'disconnect', row: NetworkRow, container?: string): void {
    const type = row.driver === 'none' ? 'null' : row.driver
    const attributes = { name: row.name, type, ...(container === undefined ? {} : { container }) }
    this.deps.emit({ kind: 'network', action, id: row.id, attributes })
  }

  /** A container's start or end, in each of its networks. */
  tellAll(action: 'connect' | 'disconnect', row: ContainerRow): void {
    const { network: mode } = row.spec
    if (typeof mode === 'object') return
    const ids =
      mode === 'host' || mode === 'none' ? [mode] : this.endpointsOf(row).map(({ networkId }) => networkId)
    for (const id of ids) {
      const network = this.store.find(id)
      if (network) this.tell(action, network, row.id)
    }
  }
}

/** A container's own hardware address is that of its first interface. */
const withMac = (
  { endpoints, spec: { macAddress } }: ContainerRow,
  { id, spec }: EndpointRow,
): EndpointSpec => (macAddress && endpoints?.[0]?.id === id ? { macAddress, ...spec } : spec)

function giftFields(gift: NonNullable<ReturnType<HostNetworks['giftOf']>>): Partial<EndpointRow> {
  const find = (is6: boolean) => gift.addresses.find(({ ip }) => ip.includes(':') === is6)
  const [four, six] = [find(false), find(true)]
  const gateway = gift.gateways.find((ip) => !ip.includes(':'))
  return {
    ...(four ? { ipv4: { address: four.ip, prefix: four.prefix } } : {}),
    ...(six ? { ipv6: { address: six.ip, prefix: six.prefix } } : {}),
    ...(gateway ? { gateway } : {}),
    ...(gift.macAddress ? { macAddress: gift.macAddress } : {}),
  }
}

const inUse = ({ id, name }: NetworkRow, users: readonly ContainerRow[]) =>
  fault.permissionDenied(
    'network.in_use',
    `error while removing network: network ${name} id ${id} has active endpoints (${users.map(({ spec }) => spec.name).join(', ')}): disconnect or stop them first`,
    { params: { network: id } },
  )
