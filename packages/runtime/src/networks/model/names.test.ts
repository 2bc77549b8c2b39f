import { expect, test } from 'vitest'
import type { EndpointSpec } from '../../api.js'
import type { ContainerRow } from '../../containers/container-row.js'
import type { EndpointRow } from './endpoint-row.js'
import { NetworkNames } from './names.js'

const row = (name: string, at: number, endpoints: Readonly<Record<string, EndpointSpec>>, ipv6 = false) => {
  const id = `${at}`.repeat(64)
  return {
    ...{ id, spec: { name, image: 'i', hostname: `host-${name}` }, state: 'running' },
    endpoints: Object.entries(endpoints).map(
      ([network, spec], index): EndpointRow => ({
        ...{ networkId: `id-${network}`, networkName: network, id: `${id}${index}`, spec },
        interfaceName: `eth${index}`,
        ipv4: { address: `10.${network.length}.0.${at}`, prefix: 24 },
        ...(ipv6 ? { ipv6: { address: `fd00::${at}`, prefix: 64 } } : {}),
      }),
    ),
  } as unknown as ContainerRow
}

const withServer = (one: ContainerRow): ContainerRow => ({
  ...one,
  spec: { ...one.spec, dns: { servers: ['192.0.2.9'] } },
})

const rows = [
  row('web', 1, { front: { aliases: ['shared'] }, back5: { links: ['db:store'] } }),
  row('db', 2, { back5: { aliases: ['shared'] } }, true),
  row('db2', 3, { back5: { aliases: ['shared', 'Mixed'] } }),
  row('shut', 4, { 'inside-it': {} }),
  withServer(row('own', 5, { 'inside-it': {} })),
]
const names = new NetworkNames({
  version: () => 1,
  containers: () => rows,
  find: (id) => rows.find((one) => one.id === id),
  endpointsOf: ({ endpoints }) => endpoints ?? [],
  isInternal: (id) => id === 'id-inside-it',
  hostResolvers: () => ['192.0.2.1'],
})
const id = (at: number) => `${at}`.repeat(64)

test.each([
  ['web', 1, 'db', 4, ['10.5.0.2']],
  ['by short id', 1, '2'.repeat(12), 4, ['10.5.0.2']],
  ['by hostname', 1, 'host-db', 4, ['10.5.0.2']],
  ['by link', 1, 'store', 4, ['10.5.0.2']],
  ['a link is for its own container only', 2, 'store', 4, undefined],
  ['with the name of the network', 2, 'web.back5', 4, ['10.5.0.1']],
  ['the other family', 1, 'db', 6, ['fd00::2']],
  ['ours, without that family', 1, 'db2', 6, []],
  ['an alias in any case', 2, 'mixed', 4, ['10.5.0.3']],
  ['not of a network that the asker is not in', 4, 'db', 4, undefined],
  ['not ours', 1, 'example.com', 4, undefined],
] as const)('%s', (_, asker, name, family, expected) => {
  expect(names.addressesOf(id(asker), name, family)).toEqual(expected)
})

test('a shared alias is answered with all who bear it, in turns', () => {
  const [first, second] = [1, 2].map(() => names.addressesOf(id(2), 'shared', 4))
  expect(first?.toSorted()).toEqual(['10.5.0.2', '10.5.0.3'])
  expect(second).toEqual(first?.toReversed())
})

test('an address has the name of its container and network', () => {
  expect(names.nameOf(id(1), '10.5.0.2')).toBe('db.back5')
  expect(names.nameOf(id(1), 'fd00:0::2')).toBe('db.back5')
  expect(names.nameOf(id(4), '10.5.0.2')).toBeUndefined()
})

test('who is in internal networks only asks nobody outside, unless it named a server itself', () => {
  expect(names.upstreamsOf(id(1))).toEqual({ servers: ['192.0.2.1'], from: 'host' })
  expect(names.upstreamsOf(id(4))).toBe('none')
  expect(names.upstreamsOf(id(5))).toEqual({ servers: ['192.0.2.9'], from: 'container' })
})
