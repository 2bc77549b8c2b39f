import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeAttributes,
  decodeMessages,
  decodeOutcome,
  encodeAttributes,
  encodeMessage,
  type NetlinkAttribute,
  NLMSG_ERROR,
  textOf,
} from './netlink-message.js'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const malformed = expect.objectContaining({ code: 'host.netlink_malformed' })

describe('attributes', () => {
  test.each<[NetlinkAttribute, string]>([
    [[10, 2], '0800 0a00 02000000'],
    [[3, 'eth0'], '0900 0300 6574683000 000000'],
    [[1, hex('0a580001')], '0800 0100 0a580001'],
    [[18, [[1, hex('76657468')]]], '0c00 1200 0800 0100 76657468'],
    [[5, []], '0400 0500'],
  ])('%j has the kernel’s layout', (attribute, bytes) =>
    expect(encodeAttributes([attribute])).toEqual(hex(bytes)),
  )

  test('what is encoded is decoded again, whatever the lengths', () => {
    const one = fc.tuple(fc.nat({ max: 0x3fff }), fc.uint8Array({ maxLength: 40 }))
    fc.assert(
      fc.property(fc.uniqueArray(one, { selector: ([type]) => type }), (attributes) => {
        const decoded = decodeAttributes(encodeAttributes(attributes))
        expect([...decoded].map(([type, value]) => [type, Uint8Array.from(value)])).toEqual(attributes)
      }),
    )
  })

  test('flags of the type are no part of its number', () =>
    expect(decodeAttributes(hex('0800 1280 01000000')).get(18)).toEqual(hex('01000000')))

  test.each(['0300 0100', '0000 0100', '0900 0100 00000000'])(
    'a length that cannot be is refused: %s',
    (bytes) => expect(() => decodeAttributes(hex(bytes))).toThrow(malformed),
  )
})

describe('messages', () => {
  test('several in one datagram come apart again', () => {
    const datagram = Buffer.concat([
      encodeMessage({ type: 16, flags: 4, payload: hex('010203') }, 7),
      encodeMessage({ type: 17, flags: 0, payload: hex('') }, 8),
    ])
    expect(decodeMessages(datagram)).toEqual([
      { type: 16, flags: 5, sequence: 7, payload: hex('010203') },
      { type: 17, flags: 1, sequence: 8, payload: hex('') },
    ])
  })

  test.each([
    ['a header cut off', '10000000 0200'],
    ['shorter than its header', '0f000000 0200 0000 01000000 00000000'],
    ['longer than the datagram', '20000000 0200 0000 01000000 00000000'],
  ])('%s is refused', (_, bytes) => expect(() => decodeMessages(hex(bytes))).toThrow(malformed))
})

describe('an acknowledgement', () => {
  const header = '20000000 1000 0506 01000000 00000000'
  test('of what was carried out is errno 0', () =>
    expect(decodeOutcome({ type: NLMSG_ERROR, flags: 0, payload: hex(`00000000 ${header}`) })).toEqual({
      errno: 0,
      words: undefined,
    }))

  test('of a refusal has the errno and the kernel’s words, after the capped or the whole request', () => {
    const words = encodeAttributes([[1, 'File exists']])
    const capped = Buffer.concat([hex(`efffffff ${header}`), words])
    expect(decodeOutcome({ type: NLMSG_ERROR, flags: 0x300, payload: capped })).toEqual({
      errno: 17,
      words: 'File exists',
    })
    const whole = Buffer.concat([hex(`efffffff ${header} 00000000 00000000 00000000 00000000`), words])
    expect(decodeOutcome({ type: NLMSG_ERROR, flags: 0x200, payload: whole }).words).toBe('File exists')
  })

  test('that is cut off is refused', () =>
    expect(() => decodeOutcome({ type: NLMSG_ERROR, flags: 0, payload: hex('00000000') })).toThrow(malformed))
})

test('bytes of any kind are read or refused with one code, and nothing else happens', () => {
  const outcome = (work: () => unknown) => {
    try {
      work()
    } catch (error) {
      expect(error).toEqual(malformed)
    }
  }
  const lengths = fc.constantFrom(0, 3, 4, 8, 15, 16, 17, 20, 36, 0xffff, 0xffffffff)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 96 }), lengths, fc.nat({ max: 24 }), (bytes, length, at) => {
      const data = Buffer.from(bytes)
      if (at + 4 <= data.length) data.writeUInt32LE(length, at)
      outcome(() => decodeMessages(data))
      outcome(() => decodeAttributes(data))
      outcome(() => decodeOutcome({ type: NLMSG_ERROR, flags: data[0] ? 0x300 : 0x200, payload: data }))
      textOf(data)
    }),
    { numRuns: 50_000 },
  )
})
