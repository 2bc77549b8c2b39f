import type { Logger } from '@berth/core'
import type { HostNetwork } from './host-view.js'
import { parseSubnet, type Subnet } from './ipam.js'
import { KernelNetworks } from './kernel/kernel-networks.exec.js'
import type { PublishedEndpoint } from './plan-rules.js'

export interface NetworkOptions {
  readonly bridge: string
  readonly subnet: string
  readonly logger?: Logger | undefined
}

export interface PlugOptions {
  readonly macAddress?: string | undefined
  readonly hasPorts?: boolean
}

/** A name for the packet rules of the runtime with this bridge. */
export const tableOf = (bridge: string): string => bridge.replace(/[^a-z0-9_]/g, '_')

/** The host's default network. */
export class BridgeNetwork {
  readonly subnet: Subnet
  /** Shared with the networks that users make. */
  readonly kernel: KernelNetworks
  readonly network: HostNetwork

  constructor({ bridge, subnet, logger }: NetworkOptions) {
    this.subnet = parseSubnet(subnet)
    this.kernel = new KernelNetworks({ table: tableOf(bridge), ...(logger ? { logger } : {}) })
    const { gateway: ip, prefix, text } = this.subnet
    this.network = {
      id: bridge,
      driver: 'bridge',
      link: bridge,
      addresses: [{ ip, prefix }],
      subnets: [text],
      mtu: undefined,
      isInternal: false,
      isIccAllowed: true,
      isMasqueraded: true,
      options: {},
    }
  }

  /** Bridge, gateway address and forwarding. Idempotent; containers that start at once share the work. */
  ensure(): Promise<void> {
    return this.kernel.ensure(this.network)
  }

  /** Plugs the namespace of a created container in. */
  connect(pid: number, ip: string, cable: string, options: PlugOptions = {}): Promise<void> {
    const { macAddress, hasPorts = false } = options
    return this.kernel.plugIn({
      ...{ network: this.network, pid, cable, macAddress, hasPorts, interfaceName: 'eth0' },
      addresses: [{ ip, prefix: this.subnet.prefix }],
      gateways: [this.subnet.gateway],
    })
  }

  loopbackOnly(pid: number): Promise<void> {
    return this.kernel.loopbackOnly(pid)
  }

  /** Makes the rules say exactly this. Calls that come while one is on its way share the next transaction. */
  async setEndpoints(
    endpoints: readonly (PublishedEndpoint & { readonly networkId?: string | undefined })[],
  ): Promise<void> {
    await this.kernel.setRules({
      networks: [this.network],
      endpoints: endpoints.map(({ networkId = this.network.id, ...endpoint }) => ({
        ...endpoint,
        networkId,
      })),
    })
    await this.ensure()
  }

  /** The endpoints as before; looks at the kernel's table only, so it costs the same however many there are. */
  ensureRules(): Promise<void> {
    return this.kernel.ensureRules()
  }

  /** Puts back what others take away, until the signal aborts. */
  watch(signal: AbortSignal): void {
    this.kernel.watch(signal)
  }

  /** Waits until the watch has ended. */
  settled(): Promise<void> {
    return this.kernel.settled()
  }

  /** Takes bridge and rules away. Idempotent. */
  async remove(): Promise<void> {
    await this.kernel.remove(this.network)
    await this.kernel.removeRules()
  }
}
