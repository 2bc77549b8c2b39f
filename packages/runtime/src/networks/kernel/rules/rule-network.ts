import type { HostNetwork } from '../../host-view.js'
import { familyOf } from '../address.js'
import { deviceGroup } from '../device-group.js'
import type { MapElement } from './nft-text.js'

/** A network in the words of the packet rules. */
export interface RuleNetwork {
  readonly id: string
  /** Part of the names of its chains. */
  readonly key: string
  readonly bridge: string
  /** Of its routed cables (ADR 9). */
  readonly group: number
  readonly subnets4: readonly string[]
  readonly subnets6: readonly string[]
  readonly isInternal: boolean
  readonly isIccAllowed: boolean
  readonly isMasqueraded: boolean
}

/** The networks that have a bridge of ours, in an order that does not depend on theirs; other drivers bring their own rules. */
export const ruleNetworks = (networks: readonly HostNetwork[]): readonly RuleNetwork[] =>
  networks
    .filter(({ driver }) => driver === 'bridge')
    .map((network) => ({
      id: network.id,
      key: network.id.slice(0, 12).replace(/[^a-zA-Z0-9_]/g, '_'),
      bridge: network.link,
      group: deviceGroup(network.id),
      subnets4: network.subnets.filter((subnet) => familyOf(subnet) === 4),
      subnets6: network.subnets.filter((subnet) => familyOf(subnet) === 6),
      isInternal: network.isInternal,
      isIccAllowed: network.isIccAllowed,
      isMasqueraded: network.isMasqueraded,
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))

type Choice = (network: RuleNetwork) => string

export const byBridge = (networks: readonly RuleNetwork[], verdict: Choice): readonly MapElement[] =>
  networks.map((network) => [`"${network.bridge}"`, verdict(network)])

export const byGroup = (networks: readonly RuleNetwork[], verdict: Choice): readonly MapElement[] =>
  networks.map((network) => [`${network.group}`, verdict(network)])

export const bySubnet = (
  networks: readonly RuleNetwork[],
  family: 4 | 6,
  verdict: Choice,
): readonly MapElement[] =>
  networks.flatMap((network) =>
    (family === 4 ? network.subnets4 : network.subnets6).map((subnet) => [subnet, verdict(network)] as const),
  )
