import { nftChain, nftMap } from './nft-text.js'
import { byBridge, byGroup, type RuleNetwork } from './rule-network.js'

/** Who may reach whom. `accept` ends this table only: what the host's firewall drops before or after stays dropped. */
export function isolationRules(networks: readonly RuleNetwork[]): readonly string[] {
  const internal = networks.filter(({ isInternal }) => isInternal)
  const into = ({ key }: RuleNetwork) => `goto into_${key}`
  const out = ({ key }: RuleNetwork) => `goto out_${key}`
  const host = ({ key }: RuleNetwork) => `goto host_${key}`
  return [
    ...networks.map((network) => nftChain(`into_${network.key}`, intoNetwork(network))),
    ...internal.map((network) => nftChain(`out_${network.key}`, outOfInternal(network))),
    ...internal.map((network) => nftChain(`host_${network.key}`, internalToHost(network))),
    nftMap('into', 'ifname : verdict', byBridge(networks, into)),
    nftMap('into_routed', 'devgroup : verdict', byGroup(networks, into)),
    nftMap('out', 'ifname : verdict', byBridge(internal, out)),
    nftMap('out_routed', 'devgroup : verdict', byGroup(internal, out)),
    nftMap('host', 'ifname : verdict', byBridge(internal, host)),
    nftMap('host_routed', 'devgroup : verdict', byGroup(internal, host)),
    nftChain('forward', [
      'type filter hook forward priority filter; policy accept;',
      'iifname vmap @out',
      'iifgroup vmap @out_routed',
      'oifname vmap @into',
      'oifgroup vmap @into_routed',
    ]),
    nftChain('input', [
      'type filter hook input priority filter; policy accept;',
      'iifname vmap @host',
      'iifgroup vmap @host_routed',
    ]),
  ]
}

/** Bridged frames pass here too where br_netfilter is on. */
const fromItself = ({ bridge, group }: RuleNetwork, verdict: string) => [
  `iifname "${bridge}" ${verdict}`,
  `iifgroup ${group} ${verdict}`,
]

function intoNetwork(network: RuleNetwork): readonly string[] {
  const neighbours = network.isIccAllowed ? fromItself(network, 'accept') : []
  if (network.isInternal) return [...neighbours, 'drop']
  return [...neighbours, 'ct state established,related accept', 'ct status dnat accept', 'drop']
}

const outOfInternal = ({ key, bridge, group }: RuleNetwork): readonly string[] => [
  `oifname "${bridge}" goto into_${key}`,
  `oifgroup ${group} goto into_${key}`,
  'drop',
]

/** The host answers under the network's own addresses only, and what neighbour discovery needs (RFC 4861). */
const internalToHost = ({ subnets4, subnets6 }: RuleNetwork): readonly string[] => [
  ...(subnets4.length > 0 ? [`ip daddr { ${subnets4.join(', ')} } return`] : []),
  ...(subnets6.length > 0
    ? [`ip6 daddr { ${[...subnets6, 'fe80::/10', 'ff00::/8'].join(', ')} } return`]
    : []),
  'drop',
]
