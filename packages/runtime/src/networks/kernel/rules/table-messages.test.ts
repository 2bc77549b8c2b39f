import { describe, expect, test } from 'vitest'
import { encodeAttributes, type NetlinkMessage } from '../../../host/netlink-message.js'
import { NOTHING_READ, readChanges } from './table-messages.js'

const INET = 1
const IPV4 = 2
const about = (table: string, message = 6, family = INET): NetlinkMessage => ({
  type: (10 << 8) | message,
  flags: 0,
  payload: Buffer.concat([Buffer.from([family, 0, 0, 0]), encodeAttributes([[1, table]])]),
})
const generation = (id: number): NetlinkMessage => {
  const value = Buffer.alloc(4)
  value.writeUInt32BE(id)
  return {
    type: (10 << 8) | 15,
    flags: 0,
    payload: Buffer.concat([Buffer.alloc(4), encodeAttributes([[1, value]])]),
  }
}
const read = (...datagrams: (readonly NetlinkMessage[])[]) =>
  datagrams.reduce((state, messages) => readChanges(state, messages, 'ours'), NOTHING_READ)

describe('what the kernel tells of packet rules', () => {
  test('names the transactions that touched the table, and no others', () =>
    expect(
      read([about('other'), generation(4), about('other'), about('ours'), generation(5), generation(6)]),
    ).toEqual({ touches: false, generations: [5], latest: 6 }))

  test('may come in pieces', () => {
    expect(read([about('ours')])).toEqual({ touches: true, generations: [], latest: 0 })
    expect(read([about('ours')], [about('other')], [generation(9)])).toEqual({
      touches: false,
      generations: [9],
      latest: 9,
    })
  })

  test.each([0, 2, 3, 5, 6, 8, 9, 11, 12, 14])('message %i is about a table', (message) =>
    expect(read([about('ours', message), generation(1)]).generations).toEqual([1]),
  )

  test('a table of that name in another family is another one', () =>
    expect(read([about('ours', 6, IPV4), generation(1)]).generations).toEqual([]))
})
