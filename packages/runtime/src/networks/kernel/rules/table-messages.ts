import {
  decodeAttributes,
  encodeAttributes,
  type NetlinkMessage,
  textOf,
} from '../../../host/netlink-message.js'

const NFNL_SUBSYS_NFTABLES = 10
const NFT_MSG_NEWTABLE = 0
const NFT_MSG_GETTABLE = 1
const NFPROTO_INET = 1
const NFTA_TABLE_NAME = 1
const NFTA_TABLE_HANDLE = 4
const HEADER = 4

const typeOf = (message: number): number => (NFNL_SUBSYS_NFTABLES << 8) | message

/** Asks for one table of family inet (nfnetlink, as `nft list table` does). */
export const getTable = (name: string): NetlinkMessage => ({
  type: typeOf(NFT_MSG_GETTABLE),
  flags: 0,
  payload: Buffer.concat([Buffer.from([NFPROTO_INET, 0, 0, 0]), encodeAttributes([[NFTA_TABLE_NAME, name]])]),
})

/** The number the kernel gave the table, another one each time it is made. */
export function decodeTableHandle(answers: readonly NetlinkMessage[]): bigint | undefined {
  const answer = answers.find(({ type }) => type === typeOf(NFT_MSG_NEWTABLE))
  const handle = answer && decodeAttributes(answer.payload.subarray(HEADER)).get(NFTA_TABLE_HANDLE)
  return handle?.length === 8 ? handle.readBigUInt64BE() : undefined
}

const NFT_MSG_NEWGEN = 15
const NFT_MSG_GETGEN = 16
const NFTA_GEN_ID = 1
/** In a table's, chain's, rule's, set's and set elements' messages alike. */
const NFTA_TABLE = 1
const LAST_WITH_TABLE = 14

/** Asks how many transactions of packet rules this network namespace has had. */
export const getGeneration = (): NetlinkMessage => ({
  type: typeOf(NFT_MSG_GETGEN),
  flags: 0,
  payload: Buffer.alloc(HEADER),
})

export function decodeGeneration(messages: readonly NetlinkMessage[]): number | undefined {
  const answer = messages.find(({ type }) => type === typeOf(NFT_MSG_NEWGEN))
  const id = answer && decodeAttributes(answer.payload.subarray(HEADER)).get(NFTA_GEN_ID)
  return id?.length === 4 ? id.readUInt32BE() : undefined
}

/** What was read of a transaction: the kernel names what changed, then the transaction's number. */
export interface ChangesRead {
  /** Whether the open transaction touched the table. */
  readonly touches: boolean
  /** Of the closed ones that did. */
  readonly generations: readonly number[]
  /** Of the last closed one, whatever it touched; 0 when there was none. */
  readonly latest: number
}

export const NOTHING_READ: ChangesRead = { touches: false, generations: [], latest: 0 }

/** Reads on in what the kernel tells of packet rules (NFNLGRP_NFTABLES). Pure. */
export function readChanges(
  read: ChangesRead,
  messages: readonly NetlinkMessage[],
  table: string,
): ChangesRead {
  let { touches, latest } = read
  const generations: number[] = []
  for (const message of messages) {
    const generation = decodeGeneration([message])
    if (generation === undefined) touches ||= isAbout(message, table)
    else {
      if (touches) generations.push(generation)
      touches = false
      latest = generation
    }
  }
  return { touches, generations, latest }
}

function isAbout({ type, payload }: NetlinkMessage, table: string): boolean {
  if (type >> 8 !== NFNL_SUBSYS_NFTABLES || (type & 0xff) > LAST_WITH_TABLE) return false
  const name = decodeAttributes(payload.subarray(HEADER)).get(NFTA_TABLE)
  return payload[0] === NFPROTO_INET && textOf(name) === table
}
