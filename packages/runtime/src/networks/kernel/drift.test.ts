import { describe, expect, test } from 'vitest'
import type { HostNetwork } from '../host-view.js'
import { findDrift, type KernelLinks } from './drift.js'
import type { Link } from './links/link-messages.js'

const red = {
  id: 'red',
  link: 'br-red',
  addresses: [
    { ip: '10.0.0.1', prefix: 24 },
    { ip: 'fd00::1', prefix: 64 },
  ],
} as unknown as HostNetwork
const GROUP = 77
const link = (change: Partial<Link>): Link => ({
  ...{ index: 2, name: 'br-red', isUp: true, macAddress: '', masterIndex: undefined },
  ...{ kind: 'bridge', group: 0, peerIndex: undefined },
  ...change,
})
const cable = (change: Partial<Link> = {}): Link =>
  link({ index: 3, name: 'c1', kind: 'veth', masterIndex: 2, ...change })
const WHOLE = [
  { index: 2, ip: '10.0.0.1', prefix: 24 },
  { index: 2, ip: 'fd00:0:0:0:0:0:0:1', prefix: 64 },
]
const drift = (links: readonly Link[], addresses: KernelLinks['addresses'] = WHOLE) => {
  const found = findDrift([red], [{ cable: 'c1', networkId: 'red' }], { links, addresses }, () => GROUP)
  return { networks: found.networks.map(({ id }) => id), cables: found.cables }
}

describe('drift', () => {
  test('is none while everything is there, whatever else there is', () =>
    expect(
      drift(
        [link({}), cable(), link({ index: 9, name: 'docker0', isUp: false })],
        [...WHOLE, { index: 2, ip: '10.9.9.9', prefix: 32 }],
      ),
    ).toEqual({ networks: [], cables: [] }))

  test.each<[string, readonly Link[], KernelLinks['addresses'], readonly string[], readonly string[]]>([
    ['a bridge that is away, its cables with it', [cable()], WHOLE, ['red'], ['c1']],
    ['a bridge that is down', [link({ isUp: false }), cable()], WHOLE, ['red'], []],
    ['an address that is away', [link({}), cable()], WHOLE.slice(1), ['red'], []],
    [
      'an address on another link',
      [link({}), cable()],
      WHOLE.map((one) => ({ ...one, index: 5 })),
      ['red'],
      [],
    ],
    ['another prefix', [link({}), cable()], WHOLE.map((one) => ({ ...one, prefix: 32 })), ['red'], []],
    [
      'a bridge made anew',
      [link({ index: 8 }), cable()],
      WHOLE.map((one) => ({ ...one, index: 8 })),
      [],
      ['c1'],
    ],
    ['a cable that is away', [link({})], WHOLE, [], ['c1']],
    ['a cable that is down', [link({}), cable({ isUp: false })], WHOLE, [], ['c1']],
    ['a cable plugged into nothing', [link({}), cable({ masterIndex: undefined })], WHOLE, [], ['c1']],
  ])('is %s', (_, links, addresses, networks, cables) =>
    expect(drift(links, addresses)).toEqual({ networks, cables }),
  )

  test('a routed cable has no bridge', () =>
    expect(drift([link({}), cable({ masterIndex: undefined, group: GROUP })]).cables).toEqual([]))
})
