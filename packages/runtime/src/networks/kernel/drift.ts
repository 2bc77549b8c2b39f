import type { HostNetwork } from '../host-view.js'
import { isSameAddress } from './address.js'
import type { HeldAddress } from './links/address-messages.js'
import type { Link } from './links/link-messages.js'

export interface KernelLinks {
  readonly links: readonly Link[]
  readonly addresses: readonly HeldAddress[]
}

export interface WantedCable {
  readonly cable: string
  readonly networkId: string
}

export interface Drift {
  /** Whose bridge is away, down or without one of its addresses. */
  readonly networks: readonly HostNetwork[]
  /** Cables that are away, down or plugged into nothing; a bridge that is away took its ports with it. */
  readonly cables: readonly string[]
}

/** What others took away. `routedGroup` gives the device group by which a routed cable is known, which has no bridge. Pure. */
export function findDrift(
  networks: readonly HostNetwork[],
  cables: readonly WantedCable[],
  kernel: KernelLinks,
  routedGroup: (networkId: string) => number,
): Drift {
  const links = new Map(kernel.links.map((link) => [link.name, link]))
  const bridges = new Map(networks.map((network) => [network.id, links.get(network.link)]))
  const isPlugged = ({ cable, networkId }: WantedCable): boolean => {
    const link = links.get(cable)
    if (!link?.isUp) return false
    if (link.masterIndex === undefined) return link.group === routedGroup(networkId)
    return link.masterIndex === bridges.get(networkId)?.index
  }
  return {
    networks: networks.filter((network) => !isWhole(network, bridges.get(network.id), kernel.addresses)),
    cables: cables.filter((cable) => !isPlugged(cable)).map(({ cable }) => cable),
  }
}

const isWhole = (network: HostNetwork, bridge: Link | undefined, held: readonly HeldAddress[]): boolean =>
  bridge?.isUp === true &&
  network.addresses.every(({ ip, prefix }) =>
    held.some(
      (address) =>
        address.index === bridge.index && address.prefix === prefix && isSameAddress(address.ip, ip),
    ),
  )
