import { familyOf } from '../address.js'
import { type MapElement, nftChain, nftMap } from './nft-text.js'
import type { PublishedEndpoint } from './published-endpoint.js'

type Protocol = PublishedEndpoint['protocol']
type Group = readonly PublishedEndpoint[]
const PROTOCOLS: readonly Protocol[] = ['tcp', 'udp', 'sctp']
const ANY = new Set([undefined, '', '0.0.0.0', '::'])

/**
 * Host port → container, for packets to the host's own addresses. Endpoints of one port share it, new connections going to each in turn;
 * established ones stay where they are (conntrack). A publication on one address comes before one on all.
 * An address of one family cannot lead to a container's of the other: such endpoints publish nothing.
 */
export function publishRules(endpoints: readonly PublishedEndpoint[]): readonly string[] {
  const possible = endpoints.filter(({ hostIp, ip }) => !hostIp || familyOf(hostIp) === familyOf(ip))
  const parts = PROTOCOLS.map((protocol) => planProtocol(protocol, groups(possible, protocol)))
  const used = parts.filter(({ rules }) => rules.length > 0)
  return [
    ...parts.flatMap(({ definitions }) => definitions),
    ...used.map(({ protocol, rules }) => nftChain(`publish_${protocol}`, rules)),
    nftMap(
      'publish',
      'inet_proto : verdict',
      used.map(({ protocol }) => [protocol, `goto publish_${protocol}`]),
    ),
    nftChain('prerouting', [
      'type nat hook prerouting priority dstnat; policy accept;',
      'fib daddr type local meta l4proto vmap @publish',
    ]),
    nftChain('output', [
      'type nat hook output priority -100; policy accept;',
      // The kernel routes nothing from ::1 to a bridge: better refused at once, and the client tries 127.0.0.1, than never answered.
      'ip6 daddr ::1 return',
      'fib daddr type local meta l4proto vmap @publish',
    ]),
  ]
}

function groups(endpoints: readonly PublishedEndpoint[], wanted: Protocol): readonly Group[] {
  const byPort = new Map<string, PublishedEndpoint[]>()
  for (const endpoint of endpoints) {
    const { protocol, hostIp, hostPort, ip } = endpoint
    if (protocol !== wanted) continue
    const key = `${familyOf(ip)}/${ANY.has(hostIp) ? '' : hostIp}/${hostPort}`
    const group = byPort.get(key) ?? []
    group.push(endpoint)
    byPort.set(key, group)
  }
  return [...byPort.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group)
}

interface Part {
  readonly protocol: Protocol
  readonly definitions: readonly string[]
  readonly rules: readonly string[]
}

function planProtocol(protocol: Protocol, all: readonly Group[]): Part {
  const kinds = ([4, 6] as const).flatMap((family) =>
    [true, false].map((isAtAddress) => ({
      family,
      isAtAddress,
      members: all.filter(
        ([first]) => first && familyOf(first.ip) === family && ANY.has(first.hostIp) !== isAtAddress,
      ),
    })),
  )
  const planned = kinds.filter(({ members }) => members.length > 0).map((kind) => planKind(protocol, kind))
  return {
    protocol,
    definitions: planned.flatMap(({ definitions }) => definitions),
    rules: planned.flatMap(({ rules }) => rules),
  }
}

interface Kind {
  readonly family: 4 | 6
  readonly isAtAddress: boolean
  readonly members: readonly Group[]
}

/** Ports of one container are data of one map, since they are many; a shared port has a chain. */
function planKind(protocol: Protocol, { family, isAtAddress, members }: Kind): Omit<Part, 'protocol'> {
  const ip = family === 4 ? 'ip' : 'ip6'
  const name = `${protocol}${family}${isAtAddress ? '_at' : ''}`
  const keyType = `${isAtAddress ? `ipv${family}_addr . ` : ''}inet_service`
  const match = `${isAtAddress ? `${ip} daddr . ` : `meta nfproto ipv${family} `}${protocol} dport`
  const single: MapElement[] = []
  const shared: { readonly element: MapElement; readonly chain: string }[] = []
  for (const group of members) {
    const [first] = group
    if (!first) continue
    const key = isAtAddress ? `${first.hostIp} . ${first.hostPort}` : `${first.hostPort}`
    if (group.length === 1) single.push([key, `${first.ip} . ${first.containerPort}`])
    else {
      const chain = `${name}_${shared.length}`
      shared.push({ element: [key, `goto ${chain}`], chain: nftChain(chain, [inTurn(ip, protocol, group)]) })
    }
  }
  const elements = shared.map(({ element }) => element)
  return {
    definitions: [
      ...shared.map(({ chain }) => chain),
      ...(single.length > 0 ? [nftMap(name, `${keyType} : ipv${family}_addr . inet_service`, single)] : []),
      ...(shared.length > 0 ? [nftMap(`${name}_shared`, `${keyType} : verdict`, elements)] : []),
    ],
    rules: [
      ...(single.length > 0 ? [dnatByMap(ip, match, name)] : []),
      ...(shared.length > 0 ? [`${match} vmap @${name}_shared`] : []),
    ],
  }
}

const dnatByMap = (ip: string, match: string, name: string): string => {
  const guard = /^meta nfproto \S+ /.exec(match)?.[0] ?? ''
  return `${guard}dnat ${ip} to ${match.slice(guard.length)} map @${name}`
}

function inTurn(ip: string, protocol: Protocol, group: Group): string {
  const elements = group.map((endpoint, index) => `${index} : ${endpoint.ip} . ${endpoint.containerPort}`)
  return `meta l4proto ${protocol} dnat ${ip} to numgen inc mod ${group.length} map { ${elements.join(', ')} }`
}
