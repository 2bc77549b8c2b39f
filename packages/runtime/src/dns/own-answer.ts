import type { Answer } from 'dns-packet'
import { fitDatagram, type Question, writeAnswer } from './message.js'
import type { NameSource } from './name-source.js'
import { reverseAddress } from './reverse-name.js'

/** So that a container that moved is found again soon. */
const TTL_SECONDS = 5

/** The records that answer a question about names of ours, none where ours has none of that kind; undefined: not ours. */
export function ownRecords(
  { name, type, isInternet }: Pick<Question, 'name' | 'type' | 'isInternet'>,
  asker: string,
  source: NameSource,
): readonly Answer[] | undefined {
  if (!isInternet) return undefined
  if (type === 'PTR') {
    const address = reverseAddress(name)
    const found = address === undefined ? undefined : source.nameOf(asker, address)
    return found === undefined ? undefined : [{ type: 'PTR', name, ttl: TTL_SECONDS, data: found }]
  }
  const addresses = source.addressesOf(asker, name, type === 'AAAA' ? 6 : 4)
  if (addresses === undefined || (type !== 'A' && type !== 'AAAA')) return addresses && []
  return addresses.map((data) => ({ type, name, ttl: TTL_SECONDS, data }))
}

/** The whole answer to `message`, cut to what a datagram may hold where it goes over UDP. */
export function ownAnswer(
  message: Buffer,
  question: Question,
  records: readonly Answer[],
  isUdp: boolean,
): Buffer {
  return isUdp
    ? fitDatagram(message, records, question.datagramBytesMax)
    : writeAnswer(message, 'NOERROR', records)
}
