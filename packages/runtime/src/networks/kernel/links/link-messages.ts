import {
  decodeAttributes,
  encodeAttributes,
  type NetlinkAttribute,
  type NetlinkMessage,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  textOf,
} from '../../../host/netlink-message.js'

/** The requests (rtnetlink(7)) that make, change and take away links. Pure: the bytes only. */
const RTM_NEWLINK = 16
const RTM_DELLINK = 17
const RTM_GETLINK = 18
const RTM_DELADDR = 21
const IFF_UP = 1
const IFLA_ADDRESS = 1
const IFLA_IFNAME = 3
const IFLA_MTU = 4
const IFLA_LINK = 5
const IFLA_MASTER = 10
const IFLA_LINKINFO = 18
const IFLA_GROUP = 27
const IFLA_NET_NS_FD = 28
const IFLA_EXT_MASK = 29
const RTEXT_FILTER_SKIP_STATS = 8
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
const IFLA_INFO_SLAVE_KIND = 4
const IFLA_INFO_SLAVE_DATA = 5
const IFLA_BRPORT_MODE = 4
const IFLA_BRPORT_ISOLATED = 33
const IFLA_MACVLAN_MODE = 1
const VETH_INFO_PEER = 1
const NEW = NLM_F_CREATE | NLM_F_EXCL

export interface Link {
  readonly index: number
  readonly name: string
  readonly isUp: boolean
  /** `aa:bb:cc:dd:ee:ff`; empty where there is none. */
  readonly macAddress: string
  readonly masterIndex: number | undefined
  /** `bridge`, `veth`, …; empty for hardware. */
  readonly kind: string
  readonly group: number
  /** Of a veth or macvlan: the index of its other end or parent, which may be in another namespace. */
  readonly peerIndex: number | undefined
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

const mtuOf = (mtu: number | undefined): readonly NetlinkAttribute[] =>
  mtu === undefined ? [] : [[IFLA_MTU, mtu]]

export const makeBridge = (name: string, mtu?: number): NetlinkMessage =>
  link(RTM_NEWLINK, NEW, linkHeader(), [
    [IFLA_IFNAME, name],
    ...mtuOf(mtu),
    [IFLA_LINKINFO, [kind('bridge')]],
  ])

export interface Cable {
  readonly name: string
  /** The bridge it is plugged into; without one it is routed, and `group` says to which network it belongs. */
  readonly masterIndex: number | undefined
  readonly group?: number | undefined
  readonly mtu?: number | undefined
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
    ...mtuOf(cable.mtu),
    ...macOf(cable.peerMac),
  ])
  return link(RTM_NEWLINK, NEW, up(), [
    ...(cable.masterIndex === undefined ? [] : [[IFLA_MASTER, cable.masterIndex] as const]),
    [IFLA_IFNAME, cable.name],
    ...(cable.group === undefined ? [] : [[IFLA_GROUP, cable.group] as const]),
    ...mtuOf(cable.mtu),
    [
      IFLA_LINKINFO,
      [kind('veth'), [IFLA_INFO_DATA, [[VETH_INFO_PEER, Buffer.concat([linkHeader(), peer])]]]],
    ],
  ])
}

const MACVLAN_MODES: Readonly<Record<string, number>> = { private: 1, vepa: 2, bridge: 4, passthru: 8 }
export const isMacvlanMode = (mode: string): boolean => mode in MACVLAN_MODES

export interface Macvlan {
  readonly parentIndex: number
  /** `bridge`, `private`, `vepa` or `passthru`. */
  readonly mode: string
  readonly name: string
  readonly mtu?: number | undefined
  readonly namespaceFd: number
  readonly mac: string | undefined
}

/** An interface with a hardware address of its own on the parent's wire, made in the namespace at once. */
export const makeMacvlan = (macvlan: Macvlan): NetlinkMessage =>
  link(RTM_NEWLINK, NEW, linkHeader(), [
    [IFLA_LINK, macvlan.parentIndex],
    [IFLA_IFNAME, macvlan.name],
    [IFLA_NET_NS_FD, macvlan.namespaceFd],
    ...mtuOf(macvlan.mtu),
    ...macOf(macvlan.mac),
    [
      IFLA_LINKINFO,
      [kind('macvlan'), [IFLA_INFO_DATA, [[IFLA_MACVLAN_MODE, MACVLAN_MODES[macvlan.mode] ?? 0]]]],
    ],
  ])

export interface BridgePort {
  /**
   * Frames may leave by the port they came in: where bridged packets pass the packet rules (br_netfilter), a container's call of its own
   * published port is answered within the bridge.
   */
  readonly isReflecting: boolean
  /** It reaches the bridge, and no other port that is isolated too: docker's `icc` off, without br_netfilter. */
  readonly isIsolated: boolean
}

export const setBridgePort = (cable: string, port: BridgePort): NetlinkMessage =>
  link(RTM_NEWLINK, 0, linkHeader(), [
    [IFLA_IFNAME, cable],
    [
      IFLA_LINKINFO,
      [
        [IFLA_INFO_SLAVE_KIND, Buffer.from('bridge')],
        [
          IFLA_INFO_SLAVE_DATA,
          [
            ...(port.isReflecting ? [[IFLA_BRPORT_MODE, Buffer.from([1])] as const] : []),
            ...(port.isIsolated ? [[IFLA_BRPORT_ISOLATED, Buffer.from([1])] as const] : []),
          ],
        ],
      ],
    ],
  ])

export const setMaster = (index: number, masterIndex: number): NetlinkMessage =>
  link(RTM_NEWLINK, 0, up(index), [[IFLA_MASTER, masterIndex]])

/** Gives a link the hardware address to keep: a bridge that was given none takes over the lowest of its ports, anew with each that comes or goes. */
export const setMac = (index: number, mac: string): NetlinkMessage =>
  link(RTM_NEWLINK, 0, linkHeader(index), macOf(mac))

export const setUp = (index: number): NetlinkMessage => link(RTM_NEWLINK, 0, up(index))
export const deleteLink = (index: number): NetlinkMessage => link(RTM_DELLINK, 0, linkHeader(index))
/** Without the counters, which are most of an answer. */
export const listLinks = (): NetlinkMessage =>
  link(RTM_GETLINK, NLM_F_DUMP, linkHeader(), [[IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS]])
/** The ports of one bridge. */
export const listPorts = (masterIndex: number): NetlinkMessage =>
  link(RTM_GETLINK, NLM_F_DUMP, linkHeader(), [
    [IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS],
    [IFLA_MASTER, masterIndex],
  ])
export const getLink = (name: string): NetlinkMessage =>
  link(RTM_GETLINK, 0, linkHeader(), [[IFLA_IFNAME, name]])

const LINK_HEADER = 16

/**
 * Whether what the kernel told (RTNLGRP_LINK, IPV4_IFADDR, IPV6_IFADDR) may be drift: a link of ours that went, is down or has lost its
 * bridge, or an address that went.
 */
export const mayBeDrift = (
  messages: readonly NetlinkMessage[],
  isOurs: (linkName: string) => boolean,
): boolean =>
  messages.some((message) => {
    if (message.type === RTM_DELADDR) return true
    const isOfLink = message.type === RTM_NEWLINK || message.type === RTM_DELLINK
    const [link] = isOfLink ? decodeLinks([{ ...message, type: RTM_NEWLINK }]) : []
    if (!link || !isOurs(link.name)) return false
    if (message.type === RTM_DELLINK) return true
    return !link.isUp || (link.kind === 'veth' && link.masterIndex === undefined)
  })

/** Links in answers to `getLink`; other messages are passed over. @throws host.netlink_malformed */
export function decodeLinks(answers: readonly NetlinkMessage[]): readonly Link[] {
  return answers
    .filter(({ type, payload }) => type === RTM_NEWLINK && payload.length >= LINK_HEADER)
    .map(({ payload }) => {
      const attributes = decodeAttributes(payload.subarray(LINK_HEADER))
      const info = attributes.get(IFLA_LINKINFO)
      return {
        index: payload.readInt32LE(4),
        name: textOf(attributes.get(IFLA_IFNAME)) ?? '',
        isUp: (payload.readUInt32LE(8) & IFF_UP) !== 0,
        macAddress: (attributes.get(IFLA_ADDRESS)?.toString('hex').match(/../g) ?? []).join(':'),
        masterIndex: numberOf(attributes.get(IFLA_MASTER)),
        kind: (info && textOf(decodeAttributes(info).get(IFLA_INFO_KIND))) ?? '',
        group: numberOf(attributes.get(IFLA_GROUP)) ?? 0,
        peerIndex: numberOf(attributes.get(IFLA_LINK)),
      }
    })
}

const numberOf = (value: Buffer | undefined): number | undefined =>
  value && value.length >= 4 ? value.readUInt32LE(0) : undefined
const macOf = (mac: string | undefined): readonly NetlinkAttribute[] =>
  mac ? [[IFLA_ADDRESS, Buffer.from(mac.replaceAll(/[:-]/g, ''), 'hex')]] : []
