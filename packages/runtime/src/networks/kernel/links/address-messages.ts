import {
  decodeAttributes,
  encodeAttributes,
  type NetlinkMessage,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
} from '../../../host/netlink-message.js'
import { AF_INET, AF_INET6, addressBytes, addressText, familyOf } from '../address.js'

/** The requests (rtnetlink(7)) that give and list addresses and routes. Pure: the bytes only. */
const RTM_NEWADDR = 20
const RTM_GETADDR = 22
const RTM_NEWROUTE = 24
const RTM_DELROUTE = 25
const IFA_ADDRESS = 1
const IFA_LOCAL = 2
/** No duplicate address detection: addresses come from one allocator, and an address that waits a second for it is no use to a start. */
const IFA_F_NODAD = 2
const RTA_DST = 1
const RTA_OIF = 4
const RTA_GATEWAY = 5
const RT_TABLE_MAIN = 254
const RTPROT_BOOT = 3
const RT_SCOPE_UNIVERSE = 0
const RT_SCOPE_LINK = 253
const RTN_UNICAST = 1
const ADDRESS_HEADER = 8

const afOf = (ip: string): number => (familyOf(ip) === 4 ? AF_INET : AF_INET6)

/** Adds the address, or leaves it when it is there. */
export function addAddress(index: number, ip: string, prefix: number): NetlinkMessage {
  const header = Buffer.alloc(ADDRESS_HEADER)
  header.writeUInt8(afOf(ip), 0)
  header.writeUInt8(prefix, 1)
  header.writeUInt8(familyOf(ip) === 6 ? IFA_F_NODAD : 0, 2)
  header.writeUInt32LE(index, 4)
  const address = addressBytes(ip)
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

export interface HeldAddress {
  readonly index: number
  readonly ip: string
  readonly prefix: number
}

export const listAddresses = (): NetlinkMessage => ({
  type: RTM_GETADDR,
  flags: NLM_F_DUMP,
  payload: Buffer.alloc(ADDRESS_HEADER),
})

/** Addresses in answers to `listAddresses`. @throws host.netlink_malformed */
export const decodeAddresses = (answers: readonly NetlinkMessage[]): readonly HeldAddress[] =>
  answers
    .filter(({ type, payload }) => type === RTM_NEWADDR && payload.length >= ADDRESS_HEADER)
    .flatMap(({ payload }) => {
      const attributes = decodeAttributes(payload.subarray(ADDRESS_HEADER))
      const address = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS)
      const isOne = address && (address.length === 4 || address.length === 16)
      return isOne
        ? [{ index: payload.readUInt32LE(4), prefix: payload.readUInt8(1), ip: addressText(address) }]
        : []
    })

/** struct rtmsg */
const routeHeader = (family: number, prefix: number, scope: number): Buffer =>
  Buffer.from([family, prefix, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST, 0, 0, 0, 0])

/** The default route of the gateway's address family, in place of the one that is there. */
export const setDefaultRoute = (gateway: string, index: number): NetlinkMessage => ({
  type: RTM_NEWROUTE,
  flags: NLM_F_CREATE | NLM_F_REPLACE,
  payload: Buffer.concat([
    routeHeader(afOf(gateway), 0, RT_SCOPE_UNIVERSE),
    encodeAttributes([
      [RTA_GATEWAY, addressBytes(gateway)],
      [RTA_OIF, index],
    ]),
  ]),
})

export const deleteDefaultRoute = (family: 4 | 6): NetlinkMessage => ({
  type: RTM_DELROUTE,
  flags: 0,
  payload: routeHeader(family === 4 ? AF_INET : AF_INET6, 0, RT_SCOPE_UNIVERSE),
})

/** One address behind one link. */
export const setHostRoute = (ip: string, index: number): NetlinkMessage => ({
  type: RTM_NEWROUTE,
  flags: NLM_F_CREATE | NLM_F_REPLACE,
  payload: Buffer.concat([
    routeHeader(afOf(ip), familyOf(ip) === 4 ? 32 : 128, RT_SCOPE_LINK),
    encodeAttributes([
      [RTA_DST, addressBytes(ip)],
      [RTA_OIF, index],
    ]),
  ]),
})
