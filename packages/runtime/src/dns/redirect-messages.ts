import {
  encodeAttributes,
  type NetlinkAttribute,
  type NetlinkMessage,
  NLM_F_CREATE,
} from '../host/netlink-message.js'

/**
 * The packet rules in a container's own namespace that let it reach port 53 of the name server, which listens at a port that is free: a container
 * may run a name server of its own on 0.0.0.0:53. Ports are rewritten on the packets themselves, both ways, so that nothing is tracked: a
 * namespace without connection tracking stays without.
 */
export const NAME_SERVER_IP = '127.0.0.11'
export interface RedirectPorts {
  readonly udp: number
  readonly tcp: number
}

const NFNL_SUBSYS_NFTABLES = 10
const NFPROTO_IPV4 = 2
const BATCH_BEGIN = 0x10
const BATCH_END = 0x11
const NLM_F_APPEND = 0x800
const NEWTABLE = 0
const DELTABLE = 2
const NEWCHAIN = 3
const NEWRULE = 6
const TABLE = 'berth_names'
const CHAIN = 'output'
const HOOK_LOCAL_OUT = 3
const PRIORITY_RAW = -300
const REGISTER = 1
const NETWORK_HEADER = 1
const TRANSPORT_HEADER = 2
const SADDR_AT = 12
const DADDR_AT = 16
const SPORT_AT = 0
const DPORT_AT = 2
const META_L4PROTO = 16
const CSUM_INET = 1
const DNS_PORT = 53
/** The number of the protocol and where its header has the checksum. */
const PROTOCOLS = { udp: { number: 17, checksumAt: 6 }, tcp: { number: 6, checksumAt: 16 } } as const
type Protocol = keyof typeof PROTOCOLS

/** nfnetlink's numbers are in network order. */
const be32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const port = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff])

const message = (kind: number, flags: number, attributes: readonly NetlinkAttribute[]): NetlinkMessage => ({
  type: (NFNL_SUBSYS_NFTABLES << 8) | kind,
  flags,
  payload: Buffer.concat([Buffer.from([NFPROTO_IPV4, 0, 0, 0]), encodeAttributes(attributes)]),
})
const edge = (type: number): NetlinkMessage => ({
  type,
  flags: 0,
  payload: Buffer.from([0, 0, 0, NFNL_SUBSYS_NFTABLES]),
})

/** What opens and closes a transaction; the kernel acknowledges neither. */
export const TRANSACTION = { begin: edge(BATCH_BEGIN), end: edge(BATCH_END) }

/** One transaction's worth: the table as it is to be, in place of one that an earlier agent left. Pure. */
export function redirectMessages(ports: RedirectPorts): readonly NetlinkMessage[] {
  const table = (kind: number) => message(kind, kind === NEWTABLE ? NLM_F_CREATE : 0, [[1, TABLE]])
  const chain = message(NEWCHAIN, NLM_F_CREATE, [
    [1, TABLE],
    [3, CHAIN],
    [
      4,
      [
        [1, be32(HOOK_LOCAL_OUT)],
        [2, be32(PRIORITY_RAW)],
      ],
    ],
    [7, 'filter'],
  ])
  const rules = (['udp', 'tcp'] as const).flatMap((protocol) => [
    rewrite(protocol, { addressAt: DADDR_AT, portAt: DPORT_AT, from: DNS_PORT, to: ports[protocol] }),
    rewrite(protocol, { addressAt: SADDR_AT, portAt: SPORT_AT, from: ports[protocol], to: DNS_PORT }),
  ])
  return [table(NEWTABLE), table(DELTABLE), table(NEWTABLE), chain, ...rules]
}

interface Rewriting {
  readonly addressAt: number
  readonly portAt: number
  readonly from: number
  readonly to: number
}

/** `ip daddr 127.0.0.11 udp dport FROM udp dport set TO notrack`, or the same of the source. */
function rewrite(protocol: Protocol, { addressAt, portAt, from, to }: Rewriting): NetlinkMessage {
  const { number, checksumAt } = PROTOCOLS[protocol]
  const expressions: readonly NetlinkAttribute[] = [
    ...isEqual(load(NETWORK_HEADER, addressAt, 4), Buffer.from(NAME_SERVER_IP.split('.').map(Number))),
    ...isEqual(
      expression('meta', [
        [1, be32(REGISTER)],
        [2, be32(META_L4PROTO)],
      ]),
      Buffer.from([number]),
    ),
    ...isEqual(load(TRANSPORT_HEADER, portAt, 2), port(from)),
    expression('immediate', [
      [1, be32(REGISTER)],
      [2, [[1, port(to)]]],
    ]),
    expression('payload', [
      [2, be32(TRANSPORT_HEADER)],
      [3, be32(portAt)],
      [4, be32(2)],
      [5, be32(REGISTER)],
      [6, be32(CSUM_INET)],
      [7, be32(checksumAt)],
    ]),
    expression('notrack', []),
  ]
  return message(NEWRULE, NLM_F_CREATE | NLM_F_APPEND, [
    [1, TABLE],
    [2, CHAIN],
    [4, expressions],
  ])
}

const expression = (name: string, data: readonly NetlinkAttribute[]): NetlinkAttribute => [
  1,
  [
    [1, name],
    [2, data],
  ],
]

const load = (base: number, offset: number, length: number): NetlinkAttribute =>
  expression('payload', [
    [1, be32(REGISTER)],
    [2, be32(base)],
    [3, be32(offset)],
    [4, be32(length)],
  ])

const isEqual = (loaded: NetlinkAttribute, value: Buffer): readonly NetlinkAttribute[] => [
  loaded,
  expression('cmp', [
    [1, be32(REGISTER)],
    [2, be32(0)],
    [3, [[1, value]]],
  ]),
]
