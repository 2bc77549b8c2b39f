import { nftChain, nftMap } from './nft-text.js'
import { bySubnet, type RuleNetwork } from './rule-network.js'

/**
 * Packets that no neighbour of this host has a reason to send, dropped before connection tracking sees them:
 * those for or from the loopback, which ports published on 127.0.0.1 and `route_localnet` would otherwise let in (moby#45610, CVE-2020-8558),
 * and those for a container's own address, which only its network knows (CVE-2025-54388, moby#48815): others come by a published port.
 * Where a network is not masqueraded its addresses are known outside and answers come to them: `forward` decides there.
 */
export function guardRules(all: readonly RuleNetwork[]): readonly string[] {
  const networks = all.filter(({ isMasqueraded, isInternal }) => isMasqueraded || isInternal)
  const toChain = ({ key }: RuleNetwork) => `goto own_${key}`
  return [
    ...networks.map(({ key, bridge, group }) =>
      nftChain(`own_${key}`, [
        `iifname "${bridge}" return`,
        `iifgroup ${group} return`,
        'fib daddr type local return',
        'drop',
      ]),
    ),
    nftMap('own4', 'ipv4_addr : verdict', bySubnet(networks, 4, toChain), 'interval'),
    nftMap('own6', 'ipv6_addr : verdict', bySubnet(networks, 6, toChain), 'interval'),
    nftChain('guard', [
      'type filter hook prerouting priority raw; policy accept;',
      'iifname "lo" return',
      'ip daddr 127.0.0.0/8 drop',
      'ip saddr 127.0.0.0/8 drop',
      'ip6 daddr ::1 drop',
      'ip6 saddr ::1 drop',
      'ip daddr vmap @own4',
      'ip6 daddr vmap @own6',
    ]),
  ]
}
