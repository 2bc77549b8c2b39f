/** What the host's packet rules must say: which ports lead to which containers. */
export interface PublishedEndpoint {
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly hostIp: string | undefined
  readonly hostPort: number
  readonly ip: string
  readonly containerPort: number
}

export interface RulesInput {
  readonly table: string
  readonly bridge: string
  readonly subnet: string
  readonly endpoints: readonly PublishedEndpoint[]
}

/**
 * The whole table as one nft transaction: it replaces what was there, so the kernel never sees half of it. Endpoints of one port share it,
 * new connections going to each in turn; established ones stay where they are (conntrack).
 */
export function planRules(input: RulesInput): string {
  const { table, bridge, subnet } = input
  return [
    `table ip ${table} {}`,
    `delete table ip ${table}`,
    `table ip ${table} {`,
    // Packets for the host's loopback that come from elsewhere: ports published there are nobody else's, and the bridge routes 127/8.
    '  chain guard { type filter hook prerouting priority raw; iifname != "lo" ip daddr 127.0.0.0/8 drop; }',
    '  chain publish {',
    ...groups(input.endpoints).map(destination),
    '  }',
    '  chain prerouting { type nat hook prerouting priority dstnat; fib daddr type local jump publish; }',
    '  chain output { type nat hook output priority -100; fib daddr type local jump publish; }',
    '  chain postrouting {',
    '    type nat hook postrouting priority srcnat;',
    `    ip saddr ${subnet} oifname != "${bridge}" masquerade`,
    `    ip saddr ${subnet} oifname "${bridge}" ct status dnat masquerade`,
    `    ip saddr 127.0.0.0/8 oifname "${bridge}" masquerade`,
    '  }',
    '  chain forward {',
    '    type filter hook forward priority filter;',
    `    oifname "${bridge}" ct state established,related accept`,
    `    oifname "${bridge}" ct status dnat accept`,
    `    iifname "${bridge}" accept`,
    `    oifname "${bridge}" drop`,
    '  }',
    '}',
    '',
  ].join('\n')
}

function groups(endpoints: readonly PublishedEndpoint[]): readonly (readonly PublishedEndpoint[])[] {
  const byPort = new Map<string, PublishedEndpoint[]>()
  for (const endpoint of endpoints) {
    const key = `${endpoint.hostIp ?? ''}/${endpoint.hostPort}/${endpoint.protocol}`
    byPort.set(key, [...(byPort.get(key) ?? []), endpoint])
  }
  return [...byPort.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group)
}

function destination(group: readonly PublishedEndpoint[]): string {
  const [first] = group
  if (!first) return ''
  const address = first.hostIp && first.hostIp !== '0.0.0.0' ? `ip daddr ${first.hostIp} ` : ''
  const match = `    ${address}${first.protocol} dport ${first.hostPort}`
  if (group.length === 1) return `${match} dnat to ${first.ip}:${first.containerPort}`
  const elements = group
    .map((endpoint, index) => `${index} : ${endpoint.ip} . ${endpoint.containerPort}`)
    .join(', ')
  return `${match} dnat ip to numgen inc mod ${group.length} map { ${elements} }`
}
