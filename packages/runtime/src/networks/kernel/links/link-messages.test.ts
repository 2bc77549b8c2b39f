import { describe, expect, test } from 'vitest'
import { encodeMessage, type NetlinkMessage, NLM_F_ACK } from '../../../host/netlink-message.js'
import { addAddress, setDefaultRoute } from './address-messages.js'
import {
  type Cable,
  decodeLinks,
  deleteLink,
  getLink,
  makeBridge,
  makeCable,
  mayBeDrift,
  setBridgePort,
  setMac,
  setUp,
} from './link-messages.js'

const bytesOf = (message: NetlinkMessage): string =>
  encodeMessage({ ...message, flags: message.flags | NLM_F_ACK }, 0x6b065ac1).toString('hex')

/** Right: what `ip` 6.1 sends for the same, seen with strace. */
describe('the bytes are those of iproute2', () => {
  test.each<[string, NetlinkMessage, string]>([
    [
      'ip link add berth0 type bridge',
      makeBridge('berth0'),
      '3c00000010000506c15a066b00000000000000000000000000000000000000000b0003006265727468300000100012000a0001006272696467650000',
    ],
    [
      'ip addr replace 10.88.0.1/16 dev berth0',
      addAddress(2, '10.88.0.1', 16),
      '2800000014000505c15a066b000000000210000002000000080002000a580001080001000a580001',
    ],
    [
      'ip -6 addr replace fd00::1/64 dev berth0 nodad',
      addAddress(2, 'fd00::1', 64),
      '4000000014000505c15a066b000000000a40020002000000' +
        '14000200fd000000000000000000000000000001' +
        '14000100fd000000000000000000000000000001',
    ],
    ['ip link set berth0 up', setUp(2), '2000000010000500c15a066b0000000000000000020000000100000001000000'],
    [
      'ip link set berth0 address 02:42:0a:58:00:01',
      setMac(2, '02:42:0a:58:00:01'),
      '2c00000010000500c15a066b0000000000000000020000000000000000000000' + '0a00010002420a5800010000',
    ],
    [
      'ip route replace default via 10.88.0.1 dev eth0',
      setDefaultRoute('10.88.0.1', 2),
      '2c00000018000505c15a066b0000000002000000fe03000100000000080005000a5800010800040002000000',
    ],
    [
      'ip link del v0123456789ab',
      deleteLink(3),
      '2000000011000500c15a066b0000000000000000030000000000000000000000',
    ],
    [
      'ip link add v0123456789ab master berth0 up type veth peer name eth0 netns FD',
      makeCable({
        name: 'v0123456789ab',
        masterIndex: 2,
        peerName: 'eth0',
        peerNamespaceFd: 0x7dc3,
        peerMac: undefined,
      }),
      // iproute2 names the namespace by pid (attribute 0x13), this by descriptor (0x1c).
      '7400000010000506c15a066b000000000000000000000000010000000100000008000a000200000012000300763031323334353637383961620000003800120008000100766574682c00020028000100000000000000000000000000000000000800' +
        '1c00c37d0000090003006574683000000000',
    ],
  ])('%s', (_, message, expected) => expect(bytesOf(message)).toBe(expected))

  test('ip link set v0123456789ab type bridge_slave hairpin on, by name', () =>
    expect(bytesOf(setBridgePort('v0123456789ab', { isReflecting: true, isIsolated: false }))).toContain(
      '0a0004006272696467650000' + '0c000500' + '0500040001000000',
    ))

  test('a hardware address goes to the end inside', () => {
    const cable = { name: 'v0', masterIndex: 2, peerName: 'eth0', peerNamespaceFd: 9 }
    expect(bytesOf(makeCable({ ...cable, peerMac: '02:42:0a:58:00:02' }))).toContain('0a00010002420a580002')
  })
})

describe('what the kernel tells may be drift', () => {
  const isOurs = (name: string) => name === 'v0'
  const told = (type: number, change: Partial<Cable> = {}) => ({
    ...makeCable({
      ...{ name: 'v0', masterIndex: 2, peerName: 'eth0', peerNamespaceFd: 9, peerMac: undefined },
      ...change,
    }),
    type,
  })
  test.each<[string, NetlinkMessage, boolean]>([
    ['a cable as it should be', told(16), false],
    ['a cable without a bridge', told(16, { masterIndex: undefined }), true],
    ['a cable that went', told(17), true],
    ['another’s cable that went', told(17, { name: 'other' }), false],
    ['any address that went', { type: 21, flags: 0, payload: Buffer.alloc(8) }, true],
    ['a message of another kind', { type: 24, flags: 0, payload: Buffer.alloc(0) }, false],
  ])('%s: %#', (_, message, expected) => expect(mayBeDrift([message], isOurs)).toBe(expected))
})

test('links are read from the kernel’s answers, other messages passed over', () => {
  const { payload } = makeCable({
    name: 'v0',
    masterIndex: 7,
    peerName: 'eth0',
    peerNamespaceFd: 9,
    peerMac: undefined,
  })
  expect(
    decodeLinks([
      { type: 16, flags: 0, payload },
      getLink('x'),
      { type: 16, flags: 0, payload: Buffer.alloc(4) },
    ]),
  ).toMatchObject([
    { index: 0, name: 'v0', isUp: true, macAddress: '', masterIndex: 7, kind: 'veth', group: 0 },
  ])
})
