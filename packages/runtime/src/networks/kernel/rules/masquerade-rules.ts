import { nftChain, nftMap, nftSet } from './nft-text.js'
import { bySubnet, type RuleNetwork } from './rule-network.js'

/**
 * Containers leave the host under its address. A call of a published port from the same network, or from the host's loopback, is given the
 * gateway's address, since its answer would else not come back through here. Clients from outside keep theirs.
 */
export function masqueradeRules(networks: readonly RuleNetwork[]): readonly string[] {
  const toChain = ({ key }: RuleNetwork) => `goto from_${key}`
  return [
    nftChain('hairpin', ['ct status dnat masquerade']),
    ...networks.map((network) => nftChain(`from_${network.key}`, fromNetwork(network))),
    nftMap('from4', 'ipv4_addr : verdict', bySubnet(networks, 4, toChain), 'interval'),
    nftMap('from6', 'ipv6_addr : verdict', bySubnet(networks, 6, toChain), 'interval'),
    nftSet(
      'bridges',
      'ifname',
      networks.map(({ bridge }) => `"${bridge}"`),
    ),
    nftSet(
      'routed',
      'devgroup',
      networks.map(({ group }) => `${group}`),
    ),
    nftChain('postrouting', [
      'type nat hook postrouting priority srcnat; policy accept;',
      'ip saddr vmap @from4',
      'ip6 saddr vmap @from6',
      'ip saddr 127.0.0.0/8 oifname @bridges masquerade',
      'ip saddr 127.0.0.0/8 oifgroup @routed masquerade',
    ]),
  ]
}

const fromNetwork = ({ bridge, group, isMasqueraded, isInternal }: RuleNetwork): readonly string[] => [
  `oifname "${bridge}" goto hairpin`,
  `oifgroup ${group} goto hairpin`,
  ...(isMasqueraded && !isInternal ? ['masquerade'] : []),
]
