import dnsPacket, { type Answer, type OptAnswer, type Packet } from 'dns-packet'

/** What a container's resolver asked, as far as a name server needs to know it. */
export interface Question {
  readonly id: number
  /** Lower case, without the final dot. */
  readonly name: string
  /** `A`, `AAAA`, `PTR` … as dns-packet names it. */
  readonly type: string
  /** Of class IN, as nearly all are. */
  readonly isInternet: boolean
  /** How large an answer in one datagram may be. */
  readonly datagramBytesMax: number
}

/** A message that is no question for us: nobody, or the number of the refusal (RFC 1035 4.1.1). */
export type Reading = { readonly question: Question } | { readonly refusal: Rcode } | 'not a question'

export type Rcode = 'NOERROR' | 'FORMERR' | 'SERVFAIL' | 'NXDOMAIN' | 'NOTIMP'
const RCODES: Readonly<Record<Rcode, number>> = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
}

export const HEADER_BYTES = 12
const QR = 0x8000
const OPCODE = 0x7800
const TC = 0x0200
const RD = 0x0100
const RA = 0x0080
const PLAIN_BYTES = 512
/** No answer of ours needs to be larger: what is, comes over TCP. */
const DATAGRAM_BYTES_MAX = 4096

/** Reads one message. An answer, or what has no header, is not to be answered: two servers would else talk for ever. Pure, throws never. */
export function readQuestion(message: Buffer): Reading {
  if (message.length < HEADER_BYTES || (message.readUInt16BE(2) & QR) !== 0) return 'not a question'
  if ((message.readUInt16BE(2) & OPCODE) !== 0) return { refusal: 'NOTIMP' }
  const packet = decoded(message)
  const [asked] = packet?.questions ?? []
  if (!packet || !asked || packet.questions?.length !== 1) return { refusal: 'FORMERR' }
  const extension = extensionOf(packet)
  const wanted = Math.max(extension?.udpPayloadSize ?? 0, PLAIN_BYTES)
  return {
    question: {
      id: packet.id ?? 0,
      name: asked.name.toLowerCase().replace(/\.$/, ''),
      type: asked.type,
      isInternet: (asked.class ?? 'IN') === 'IN',
      datagramBytesMax: Math.min(wanted, DATAGRAM_BYTES_MAX),
    },
  }
}

/** An answer from what we know ourselves, the question as it was put in it (its case too: draft-vixie-dnsext-dns0x20). Pure. */
export function writeAnswer(message: Buffer, rcode: Rcode, answers: readonly Answer[] = []): Buffer {
  const asked = rcode === 'FORMERR' ? undefined : decoded(message)
  const extension = asked && extensionOf(asked)
  const written = encoded({
    type: 'response',
    ...(asked?.questions?.length === 1 ? { questions: asked.questions } : {}),
    answers: [...answers],
    ...(extension ? { additionals: [OWN_EXTENSION] } : {}),
  })
  const given = message.readUInt16BE(2) & (OPCODE | RD)
  written.writeUInt16BE(message.readUInt16BE(0), 0)
  written.writeUInt16BE(QR | RA | given | RCODES[rcode], 2)
  return written
}

/** A question of a kind that dns-packet reads and cannot write is left out. */
function encoded(packet: Packet): Buffer {
  try {
    return dnsPacket.encode(packet)
  } catch {
    return dnsPacket.encode({ type: 'response' })
  }
}

const OWN_EXTENSION = {
  type: 'OPT',
  name: '.',
  udpPayloadSize: DATAGRAM_BYTES_MAX,
  flags: 0,
  options: [],
} as unknown as OptAnswer

/** The answer when it fits, else as many records as do and the sign that there are more. Pure. */
export function fitDatagram(message: Buffer, answers: readonly Answer[], bytesMax: number): Buffer {
  for (let count = answers.length; ; count = Math.floor(count / 2)) {
    const written = writeAnswer(message, 'NOERROR', answers.slice(0, count))
    if (written.length > bytesMax && count > 0) continue
    if (count < answers.length) written.writeUInt16BE(written.readUInt16BE(2) | TC, 2)
    return written
  }
}

const QUESTION_BYTES_MIN = 5
const RECORD_BYTES_MIN = 11

/** A few bytes may claim 65,535 records, each of which dns-packet would try to read. */
function claimsTooMuch(message: Buffer): boolean {
  const [questions = 0, ...records] = [4, 6, 8, 10].map((at) => message.readUInt16BE(at))
  const least = records.reduce((sum, count) => sum + count * RECORD_BYTES_MIN, questions * QUESTION_BYTES_MIN)
  return HEADER_BYTES + least > message.length
}

const decoded = (message: Buffer): Packet | undefined => {
  if (claimsTooMuch(message)) return undefined
  try {
    return dnsPacket.decode(message)
  } catch {
    return undefined
  }
}

const extensionOf = ({ additionals }: Packet): OptAnswer | undefined =>
  additionals?.find((record): record is OptAnswer => record.type === 'OPT')

/** The number under which a question was sent on, put in place of its own. Pure. */
export function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message)
  copy.writeUInt16BE(id, 0)
  return copy
}

/** Whether `answer` is one to `query`: its number and the question it repeats (RFC 5452 9.1). Pure. */
export function isAnswerTo(query: Buffer, answer: Buffer): boolean {
  if (answer.length < HEADER_BYTES || (answer.readUInt16BE(2) & QR) === 0) return false
  if (answer.readUInt16BE(0) !== query.readUInt16BE(0)) return false
  const [asked, repeated] = [questionBytes(query), questionBytes(answer)]
  // A refusal may leave the question out.
  if (answer.readUInt16BE(4) === 0) return rcodeOf(answer) !== 0
  return repeated !== undefined && asked?.toLowerCase() === repeated.toLowerCase()
}

/** The first question as it is on the wire: a name without compression, its type and class. */
function questionBytes(message: Buffer): string | undefined {
  let at = HEADER_BYTES
  for (let length = message[at]; length; length = message[at]) {
    if (length > 63) return undefined
    at += length + 1
  }
  return at + 5 <= message.length ? message.toString('latin1', HEADER_BYTES, at + 5) : undefined
}

export const rcodeOf = (message: Buffer): number => message.readUInt16BE(2) & 0xf
export const isCutShort = (message: Buffer): boolean => (message.readUInt16BE(2) & TC) !== 0
export const SERVER_FAILED = RCODES.SERVFAIL

/** How long an answer may be kept: the shortest of its records, none of an answer without any. Pure. */
export function keepSeconds(answer: Buffer): number {
  const records = rcodeOf(answer) === 0 && !isCutShort(answer) ? (decoded(answer)?.answers ?? []) : []
  const seconds = records.map((record) => ('ttl' in record ? (record.ttl ?? 0) : 0))
  return seconds.length === 0 ? 0 : Math.min(...seconds)
}
