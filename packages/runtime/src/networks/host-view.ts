import type { PublishedEndpoint } from './plan-rules.js'

/** The seam between the model (which networks and endpoints there are) and the kernel (links, addresses, packet rules). */
export interface InterfaceAddress {
  readonly ip: string
  readonly prefix: number
}

/** A network as the kernel shall have it. */
export interface HostNetwork {
  readonly id: string
  readonly driver: 'bridge' | 'macvlan' | 'cni'
  /** The bridge's link name; for macvlan the parent's. */
  readonly link: string
  /** Of the bridge: the gateways, per address family. */
  readonly addresses: readonly InterfaceAddress[]
  /** IPv4 and IPv6. */
  readonly subnets: readonly string[]
  readonly mtu: number | undefined
  readonly isInternal: boolean
  /** Whether its containers may reach each other (docker's icc). */
  readonly isIccAllowed: boolean
  readonly isMasqueraded: boolean
  /** The driver's own words, e.g. `macvlan_mode` or the CNI configuration (`conflist`, JSON). */
  readonly options: Readonly<Record<string, string>>
}

/** One interface of one container. */
export interface Plug {
  readonly network: HostNetwork
  /** A process in the container's network namespace. */
  readonly pid: number
  /** Name of the host's end; unique on the host, at most 15 bytes. */
  readonly cable: string
  /** `eth0`, `eth1`, … inside. */
  readonly interfaceName: string
  readonly addresses: readonly InterfaceAddress[]
  readonly macAddress: string | undefined
  /** Default routes through this interface; empty when another network has them. */
  readonly gateways: readonly string[]
  /** Ports lead to it, from itself too. */
  readonly hasPorts: boolean
}

/** What a driver that has addresses of its own (cni) gave a container. */
export interface DriverGift {
  readonly addresses: readonly InterfaceAddress[]
  readonly gateways: readonly string[]
  readonly macAddress: string | undefined
}

/** All that the packet rules must say. */
export interface RulesView {
  readonly networks: readonly HostNetwork[]
  readonly endpoints: readonly (PublishedEndpoint & { readonly networkId: string })[]
}

/** What the model asks of the kernel. Every call is idempotent. */
export interface HostNetworks {
  /** The bridge with its addresses, up and with its rules; of other drivers what they need. @throws network.link_taken, network.parent_missing, network.macvlan_mode, network.cni_config_invalid, network.cni_plugin_missing */
  ensure(network: HostNetwork): Promise<void>
  /** @throws network.bridge_full, network.address_taken, network.parent_missing, network.cni_failed */
  plugIn(plug: Plug): Promise<void>
  /** What the driver gave the interface, where it has addresses of its own: after `plugIn`, also after a restart. */
  giftOf(plug: Pick<Plug, 'network' | 'cable' | 'interfaceName'>): DriverGift | undefined
  unplug(plug: Pick<Plug, 'network' | 'pid' | 'cable' | 'interfaceName'>): Promise<void>
  /** Default routes of a container whose networks changed. */
  setGateways(
    pid: number,
    gateways: readonly { readonly interfaceName: string; readonly gateway: string }[],
  ): Promise<void>
  loopbackOnly(pid: number): Promise<void>
  /** Makes the rules say exactly this, in one transaction; calls that come while one is on its way share the next. */
  setRules(view: RulesView): Promise<void>
  remove(network: HostNetwork): Promise<void>
  /** Looks for bridges, addresses, cables and rules that others took away and puts them back; every few seconds until `signal` aborts. */
  watch(signal: AbortSignal): void
}
