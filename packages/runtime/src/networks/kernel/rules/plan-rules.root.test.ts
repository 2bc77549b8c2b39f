import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { enterOwnNetwork } from '../../../testing/own-network.js'
import type { HostNetwork, RulesView } from '../../host-view.js'
import { planRules } from './plan-rules.js'

let leave: () => void
beforeAll(() => {
  leave = enterOwnNetwork()
})
afterAll(() => leave?.())

const network = (index: number): fc.Arbitrary<HostNetwork> =>
  fc
    .record({
      isInternal: fc.boolean(),
      isIccAllowed: fc.boolean(),
      isMasqueraded: fc.boolean(),
      subnets: fc.subarray([`10.${index}.0.0/16`, `172.30.${index}.0/24`, `fd00:${index}::/64`]),
      driver: fc.constantFrom('bridge', 'macvlan', 'cni'),
    })
    .map((change) => ({
      ...{ id: `${index}-net.work`, link: `br-${index}`, addresses: [], mtu: undefined, options: {} },
      ...change,
    }))
const endpoint: fc.Arbitrary<RulesView['endpoints'][number]> = fc.record({
  protocol: fc.constantFrom('tcp', 'udp', 'sctp'),
  hostIp: fc.constantFrom(undefined, '', '0.0.0.0', '::', '127.0.0.1', '192.0.2.1', '2001:db8::1', '::1'),
  hostPort: fc.integer({ min: 1, max: 12 }),
  ip: fc.constantFrom('10.1.0.2', '10.1.0.3', '10.2.0.2', 'fd00:1::2', 'fd00:2::3'),
  containerPort: fc.integer({ min: 1, max: 65_535 }),
  networkId: fc.constantFrom('0-net.work', '1-net.work', '2-net.work'),
})

test('the kernel takes every plan, twice, and the same table comes of it', () => {
  const views = fc.record({
    networks: fc.tuple(network(0), network(1), network(2)).chain((all) => fc.subarray([...all])),
    endpoints: fc.array(endpoint, { maxLength: 40 }),
  })
  const listed = () => execFileSync('nft', ['list', 'table', 'inet', 't0'], { encoding: 'utf8' })
  fc.assert(
    fc.property(views, (view) => {
      const input = planRules('t0', view)
      execFileSync('nft', ['-f', '-'], { input, stdio: ['pipe', 'pipe', 'pipe'] })
      const table = listed()
      execFileSync('nft', ['-f', '-'], { input, stdio: ['pipe', 'pipe', 'pipe'] })
      expect(listed()).toBe(table)
    }),
    { numRuns: 60 },
  )
})
