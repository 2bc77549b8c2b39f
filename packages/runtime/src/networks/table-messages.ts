import { decodeAttributes, encodeAttributes, type NetlinkMessage } from '../host/netlink-message.js'

const NFNL_SUBSYS_NFTABLES = 10
const NFT_MSG_NEWTABLE = 0
const NFT_MSG_GETTABLE = 1
const NFPROTO_IPV4 = 2
const NFTA_TABLE_NAME = 1
const NFTA_TABLE_HANDLE = 4
const HEADER = 4

const typeOf = (message: number): number => (NFNL_SUBSYS_NFTABLES << 8) | message

/** Asks for one table of family ip (nfnetlink, as `nft list table` does). */
export const getTable = (name: string): NetlinkMessage => ({
  type: typeOf(NFT_MSG_GETTABLE),
  flags: 0,
  payload: Buffer.concat([Buffer.from([NFPROTO_IPV4, 0, 0, 0]), encodeAttributes([[NFTA_TABLE_NAME, name]])]),
})

/** The number the kernel gave the table, another one each time it is made. */
export function decodeTableHandle(answers: readonly NetlinkMessage[]): bigint | undefined {
  const answer = answers.find(({ type }) => type === typeOf(NFT_MSG_NEWTABLE))
  const handle = answer && decodeAttributes(answer.payload.subarray(HEADER)).get(NFTA_TABLE_HANDLE)
  return handle?.length === 8 ? handle.readBigUInt64BE() : undefined
}
