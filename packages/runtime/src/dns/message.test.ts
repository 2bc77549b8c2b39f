import dnsPacket, { type DecodedPacket } from 'dns-packet'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FrameReader, framed } from './frames.js'
import { fitDatagram, isAnswerTo, keepSeconds, readQuestion, withId, writeAnswer } from './message.js'

const query = (name: string, change: object = {}) =>
  dnsPacket.encode({
    ...{ type: 'query', id: 7, flags: dnsPacket.RECURSION_DESIRED },
    questions: [{ type: 'A', class: 'IN', name }],
    ...change,
  })
const decode = (message: Buffer) => dnsPacket.decode(message) as DecodedPacket & { rcode: string }

describe('a question', () => {
  test('is read with its name in lower case', () =>
    expect(readQuestion(query('Db.Front'))).toEqual({
      question: { id: 7, name: 'db.front', type: 'A', isInternet: true, datagramBytesMax: 512 },
    }))

  test('may say how large a datagram it takes, within reason', () => {
    const sized = (udpPayloadSize: number) =>
      query('db', { additionals: [{ type: 'OPT', name: '.', udpPayloadSize, flags: 0, options: [] }] })
    for (const [said, taken] of [
      [1232, 1232],
      [100, 512],
      [65_535, 4_096],
    ] as const)
      expect(readQuestion(sized(said))).toMatchObject({ question: { datagramBytesMax: taken } })
  })

  test.each([
    ['an answer', Buffer.from('000781000001000000000000', 'hex'), 'not a question'],
    ['less than a header', Buffer.from('0007010000010000000000', 'hex'), 'not a question'],
    ['no question at all', Buffer.from('000701000000000000000000', 'hex'), { refusal: 'FORMERR' }],
    [
      'two questions',
      query('db', { questions: [1, 2].map(() => ({ type: 'A', name: 'db' })) }),
      { refusal: 'FORMERR' },
    ],
    [
      'a name that refers to itself',
      Buffer.from('000701000001000000000000c00c00010001', 'hex'),
      { refusal: 'FORMERR' },
    ],
    ['more than it holds', Buffer.from('0007010000010000ffffffff0000010001', 'hex'), { refusal: 'FORMERR' }],
    ['another kind of message', Buffer.from('000728000001000000000000', 'hex'), { refusal: 'NOTIMP' }],
  ])('is not %s', (_, message, expected) => expect(readQuestion(message)).toEqual(expected))
})

describe('an answer', () => {
  test('repeats the question as it was put, and its number', () => {
    const answer = decode(writeAnswer(query('Db'), 'NXDOMAIN'))
    expect(answer).toMatchObject({ id: 7, type: 'response', rcode: 'NXDOMAIN', flag_rd: true, flag_ra: true })
    expect(answer.questions).toMatchObject([{ name: 'Db', type: 'A' }])
  })

  test('never is larger than the datagram that was asked for, and says when it was cut', () =>
    fc.assert(
      fc.property(fc.nat(200), fc.integer({ min: 512, max: 4_096 }), (count, bytesMax) => {
        const records = Array.from({ length: count }, () => ({
          type: 'A' as const,
          name: 'db',
          data: '10.0.0.1',
        }))
        const written = fitDatagram(query('db'), records, bytesMax)
        const { answers = [], flag_tc } = decode(written)
        expect(written.length).toBeLessThanOrEqual(bytesMax)
        expect(flag_tc).toBe(answers.length < count)
      }),
    ))

  test('is taken only with the number and the question that were sent', () => {
    const asked = query('db.example')
    expect(isAnswerTo(asked, writeAnswer(asked, 'NOERROR'))).toBe(true)
    expect(isAnswerTo(asked, writeAnswer(query('DB.example'), 'NOERROR'))).toBe(true)
    expect(isAnswerTo(asked, writeAnswer(withId(asked, 8), 'NOERROR'))).toBe(false)
    expect(isAnswerTo(asked, writeAnswer(query('evil.example'), 'NOERROR'))).toBe(false)
    expect(isAnswerTo(asked, asked)).toBe(false)
    expect(isAnswerTo(asked, writeAnswer(asked, 'FORMERR'))).toBe(true)
  })

  test('is kept as long as its shortest record, and not without one', () => {
    const answer = (...ttls: number[]) =>
      dnsPacket.encode({
        type: 'response',
        answers: ttls.map((ttl) => ({ type: 'A', name: 'a', ttl, data: '10.0.0.1' })),
      })
    expect(keepSeconds(answer(60, 3, 9))).toBe(3)
    expect(keepSeconds(answer())).toBe(0)
  })
})

test('whatever comes, reading and answering do not throw (fuzz)', () => {
  const header = fc.tuple(
    fc.nat(0xffff),
    fc.constantFrom(0x0100, 0, 0x2000),
    fc.constantFrom(1, 0, 2, 65_535),
  )
  const shaped = fc.tuple(header, fc.uint8Array({ maxLength: 60 })).map(([[id, flags, count], rest]) => {
    const message = Buffer.alloc(12 + rest.length)
    message.writeUInt16BE(id, 0)
    message.writeUInt16BE(flags, 2)
    message.writeUInt16BE(count, 4)
    message.set(rest, 12)
    return message
  })
  const torn = fc.tuple(fc.nat(30), fc.nat(255)).map(([at, value]) => {
    const message = query('some.name.example', { additionals: [{ type: 'OPT', name: '.', options: [] }] })
    message[at % message.length] = value
    return message
  })
  const any = fc.oneof(
    shaped,
    torn,
    fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
  )
  fc.assert(
    fc.property(any, (message) => {
      const reading = readQuestion(message)
      if (reading === 'not a question') return
      const answer = writeAnswer(message, 'question' in reading ? 'NOERROR' : reading.refusal)
      expect(readQuestion(answer)).toBe('not a question')
      expect(answer.readUInt16BE(0)).toBe(message.readUInt16BE(0))
      keepSeconds(message)
      isAnswerTo(message, answer)
    }),
    { numRuns: 50_000 },
  )
})

test('messages come out of a connection as they went in, however its bytes are split', () =>
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 })),
      fc.array(fc.integer({ min: 1, max: 50 })),
      (all, cuts) => {
        const messages = all.map((bytes) => Buffer.from(bytes))
        const stream = Buffer.concat(messages.map(framed))
        const frames = new FrameReader()
        const got: Buffer[] = []
        for (let at = 0, cut = 0; at < stream.length; cut++) {
          const length = cuts[cut % cuts.length] ?? 7
          got.push(...frames.push(stream.subarray(at, at + length)))
          at += length
        }
        expect(got).toEqual(messages)
      },
    ),
  ))
