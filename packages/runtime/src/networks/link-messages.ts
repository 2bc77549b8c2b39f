import {
  decodeAttributes,
  encodeAttributes,
  type NetlinkAttribute,
  type NetlinkMessage,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  textOf,
} from '../host/netlink-message.js'

/** The requests (rtnetlink(7)) that make and take away links, addresses and routes. Pure: the bytes only. */
const RTM_NEWLINK = 16
const RTM_DELLINK = 17
const RTM_GETLINK = 18
const RTM_NEWADDR = 20
const RTM_NEWROUTE = 24
const AF_INET = 2
const IFF_UP = 1
const IFLA_ADDRESS = 1
const IFLA_IFNAME = 3
const IFLA_MASTER = 10
const IFLA_LINKINFO = 18
const IFLA_NET_NS_FD = 28
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
const IFLA_INFO_SLAVE_KIND = 4
const IFLA_INFO_SLAVE_DATA = 5
const IFLA_BRPORT_MODE = 4
const VETH_INFO_PEER = 1
const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const RTA_OIF = 4
const RTA_GATEWAY = 5
const RT_TABLE_MAIN = 254
const RTPROT_BOOT = 3
const RT_SCOPE_UNIVERSE = 0
const RTN_UNICAST = 1
const NEW = NLM_F_CREATE | NLM_F_EXCL

export interface Link {
  readonly index: number
  readonly name: string
  readonly isUp: boolean
  /** `aa:bb:cc:dd:ee:ff`; empty where there is none. */
  readonly macAddress: string
  readonly masterIndex: number | undefined
}

/** struct ifinfomsg */
function linkHeader(index = 0, flags = 0, change = 0): Buffer {
  const header = Buffer.alloc(16)
  header.writeInt32LE(index, 4)
  header.writeUInt32LE(flags, 8)
  header.writeUInt32LE(change, 12)
  return header
}
const up = (index = 0): Buffer => linkHeader(index, IFF_UP, IFF_UP)

const link = (
  type: number,
  flags: number,
  header: Buffer,
  attributes: readonly NetlinkAttribute[] = [],
): NetlinkMessage => ({ type, flags, payload: Buffer.concat([header, encodeAttributes(attributes)]) })

/** The kind stands there without a NUL, as iproute2 sends it. */
const kind = (name: string): NetlinkAttribute => [IFLA_INFO_KIND, Buffer.from(name)]

export const makeBridge = (name: string): NetlinkMessage =>
  link(RTM_NEWLINK, NEW, linkHeader(), [
    [IFLA_IFNAME, name],
    [IFLA_LINKINFO, [kind('bridge')]],
  ])

export interface Cable {
  readonly name: string
  readonly masterIndex: number
  readonly peerName: string
  /** An open descriptor of the namespace the other end is put in. */
  readonly peerNamespaceFd: number
  readonly peerMac: string | undefined
}

/** A veth pair, one end up and plugged into the bridge, the other in a namespace: one request. The kernel brings no end up that has no other yet. */
export function makeCable(cable: Cable): NetlinkMessage {
  const peer = encodeAttributes([
    [IFLA_NET_NS_FD, cable.peerNamespaceFd],
    [IFLA_IFNAME, cable.peerName],
    ...(cable.peerMac ? [[IFLA_ADDRESS, macBytes(cable.peerMac)] as const] : []),
  ])
  return link(RTM_NEWLINK, NEW, up(), [
    [IFLA_MASTER, cable.masterIndex],
    [IFLA_IFNAME, cable.name],
    [
      IFLA_LINKINFO,
      [kind('veth'), [IFLA_INFO_DATA, [[VETH_INFO_PEER, Buffer.concat([linkHeader(), peer])]]]],
    ],
  ])
}

/**
 * Lets frames leave by the port they came in: where bridged packets pass the packet rules (br_netfilter), a container's call of its own
 * published port is answered within the bridge.
 */
export const reflect = (cable: string): NetlinkMessage =>
  link(RTM_NEWLINK, 0, linkHeader(), [
    [IFLA_IFNAME, cable],
    [
      IFLA_LINKINFO,
      [
        [IFLA_INFO_SLAVE_KIND, Buffer.from('bridge')],
        [IFLA_INFO_SLAVE_DATA, [[IFLA_BRPORT_MODE, Buffer.from([1])]]],
      ],
    ],
  ])

export const setUp = (index: number): NetlinkMessage => link(RTM_NEWLINK, 0, up(index))
export const deleteLink = (index: number): NetlinkMessage => link(RTM_DELLINK, 0, linkHeader(index))
export const getLink = (name: string): NetlinkMessage =>
  link(RTM_GETLINK, 0, linkHeader(), [[IFLA_IFNAME, name]])

/** Adds the address, or leaves it when it is there. */
export function addAddress(index: number, ip: string, prefix: number): NetlinkMessage {
  const header = Buffer.alloc(8)
  header.writeUInt8(AF_INET, 0)
  header.writeUInt8(prefix, 1)
  header.writeUInt32LE(index, 4)
  const address = ipBytes(ip)
  const attributes = encodeAttributes([
    [IFA_LOCAL, address],
    [IFA_ADDRESS, address],
  ])
  return {
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    payload: Buffer.concat([header, attributes]),
  }
}

export function addDefaultRoute(gateway: string, index: number): NetlinkMessage {
  const header = Buffer.alloc(12)
  header.set([AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST])
  const attributes = encodeAttributes([
    [RTA_GATEWAY, ipBytes(gateway)],
    [RTA_OIF, index],
  ])
  return { type: RTM_NEWROUTE, flags: NEW, payload: Buffer.concat([header, attributes]) }
}

const LINK_HEADER = 16

/** Links in answers to `getLink`; other messages are passed over. @throws host.netlink_malformed */
export function decodeLinks(answers: readonly NetlinkMessage[]): readonly Link[] {
  return answers
    .filter(({ type, payload }) => type === RTM_NEWLINK && payload.length >= LINK_HEADER)
    .map(({ payload }) => {
      const attributes = decodeAttributes(payload.subarray(LINK_HEADER))
      const master = attributes.get(IFLA_MASTER)
      return {
        index: payload.readInt32LE(4),
        name: textOf(attributes.get(IFLA_IFNAME)) ?? '',
        isUp: (payload.readUInt32LE(8) & IFF_UP) !== 0,
        macAddress: (attributes.get(IFLA_ADDRESS)?.toString('hex').match(/../g) ?? []).join(':'),
        masterIndex: master && master.length >= 4 ? master.readUInt32LE(0) : undefined,
      }
    })
}

const ipBytes = (ip: string): Buffer => Buffer.from(ip.split('.').map(Number))
const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(/[:-]/g, ''), 'hex')
