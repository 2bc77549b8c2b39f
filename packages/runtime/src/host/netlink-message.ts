import { fault } from '@berth/core'

/** A netlink request or answer without its header; the socket numbers and acknowledges it. Byte order is the machine's: little endian. */
export interface NetlinkMessage {
  readonly type: number
  readonly flags: number
  readonly payload: Buffer
}

/** What the kernel sent back, its sequence number naming the request. */
export interface NetlinkAnswer extends NetlinkMessage {
  readonly sequence: number
}

/** A value with its attribute's number; a list is a nested attribute. */
export type NetlinkAttribute = readonly [
  type: number,
  value: number | string | Uint8Array | readonly NetlinkAttribute[],
]

export const NLM_F_REQUEST = 1
export const NLM_F_ACK = 4
export const NLM_F_REPLACE = 0x100
/** All that there are (root and match). */
export const NLM_F_DUMP = 0x300
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3
const NLM_F_ACK_TLVS = 0x200
const NLM_F_CAPPED = 0x100
const NLMSGERR_ATTR_MSG = 1
const TYPE_MASK = 0x3fff
const HEADER = 16

const align = (length: number): number => (length + 3) & ~3

/** Numbers are 32 bits, strings end with a NUL. */
export function encodeAttributes(attributes: readonly NetlinkAttribute[]): Buffer {
  return Buffer.concat(attributes.map(encodeAttribute))
}

function encodeAttribute([type, value]: NetlinkAttribute): Buffer {
  const data = encodeValue(value)
  const buffer = Buffer.alloc(align(4 + data.length))
  buffer.writeUInt16LE(4 + data.length, 0)
  buffer.writeUInt16LE(type, 2)
  buffer.set(data, 4)
  return buffer
}

function encodeValue(value: NetlinkAttribute[1]): Uint8Array {
  if (typeof value === 'string') return Buffer.from(`${value}\0`)
  if (value instanceof Uint8Array) return value
  if (typeof value !== 'number') return encodeAttributes(value)
  const number = Buffer.alloc(4)
  number.writeUInt32LE(value, 0)
  return number
}

/** The header and the payload, padded, so that several may follow each other in one datagram. */
export function encodeMessage(message: NetlinkMessage, sequence: number): Buffer {
  const length = HEADER + message.payload.length
  const buffer = Buffer.alloc(align(length))
  buffer.writeUInt32LE(length, 0)
  buffer.writeUInt16LE(message.type, 4)
  buffer.writeUInt16LE(message.flags | NLM_F_REQUEST, 6)
  buffer.writeUInt32LE(sequence, 8)
  buffer.set(message.payload, HEADER)
  return buffer
}

const malformed = (what: string) =>
  fault.internal('host.netlink_malformed', `the kernel's answer has ${what}`)

/** The messages of one datagram. @throws host.netlink_malformed */
export function decodeMessages(datagram: Buffer): readonly NetlinkAnswer[] {
  const answers: NetlinkAnswer[] = []
  for (let at = 0; at < datagram.length; ) {
    if (datagram.length - at < HEADER) throw malformed('a header that is cut off')
    const length = datagram.readUInt32LE(at)
    if (length < HEADER || length > datagram.length - at) throw malformed(`a length of ${length}`)
    answers.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      payload: datagram.subarray(at + HEADER, at + length),
    })
    at += align(length)
  }
  return answers
}

/** Attributes by number, the last of a number winning, as the kernel reads them itself. @throws host.netlink_malformed */
export function decodeAttributes(data: Buffer): ReadonlyMap<number, Buffer> {
  const attributes = new Map<number, Buffer>()
  for (let at = 0; at + 4 <= data.length; ) {
    const length = data.readUInt16LE(at)
    if (length < 4 || length > data.length - at) throw malformed(`an attribute with a length of ${length}`)
    attributes.set(data.readUInt16LE(at + 2) & TYPE_MASK, data.subarray(at + 4, at + length))
    at += align(length)
  }
  return attributes
}

/** Text without the NUL at its end. */
export const textOf = (value: Buffer | undefined): string | undefined =>
  value?.toString('utf8').replace(/\0.*$/s, '')

export interface NetlinkOutcome {
  /** 0 when the request was carried out. */
  readonly errno: number
  /** The kernel's own words, where it has some (extended acknowledgement). */
  readonly words: string | undefined
}

/** What an answer of type NLMSG_ERROR says. @throws host.netlink_malformed */
export function decodeOutcome({ flags, payload }: NetlinkMessage): NetlinkOutcome {
  if (payload.length < 4 + HEADER) throw malformed('an acknowledgement that is cut off')
  const errno = -payload.readInt32LE(0) || 0
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno, words: undefined }
  const requestLength = flags & NLM_F_CAPPED ? HEADER : payload.readUInt32LE(4)
  const attributes = decodeAttributes(payload.subarray(Math.min(4 + align(requestLength), payload.length)))
  return { errno, words: textOf(attributes.get(NLMSGERR_ATTR_MSG)) }
}
