import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { HostNetwork, RulesView } from '../../host-view.js'
import { deviceGroup } from '../device-group.js'
import { planRules } from './plan-rules.js'

type Endpoint = RulesView['endpoints'][number]

const network = (change: Partial<HostNetwork> = {}): HostNetwork => ({
  id: 'a0a0a0a0a0a0a0a0',
  driver: 'bridge',
  link: 'b0',
  addresses: [{ ip: '10.0.0.1', prefix: 24 }],
  subnets: ['10.0.0.0/24'],
  mtu: undefined,
  isInternal: false,
  isIccAllowed: true,
  isMasqueraded: true,
  options: {},
  ...change,
})
const endpoint = (change: Partial<Endpoint> = {}): Endpoint => ({
  protocol: 'tcp',
  hostIp: undefined,
  hostPort: 8080,
  ip: '10.0.0.2',
  containerPort: 80,
  networkId: 'a0a0a0a0a0a0a0a0',
  ...change,
})
const plan = (networks: readonly HostNetwork[], ...endpoints: Endpoint[]) =>
  planRules('t0', { networks, endpoints })
const published = (...endpoints: Endpoint[]) => plan([network()], ...endpoints)

/** The lines of a chain, map or set. */
const block = (rules: string, name: string): readonly string[] => {
  const lines = rules.split('\n')
  const start = lines.findIndex((line) => line.endsWith(` ${name} {`))
  if (start < 0) return []
  const end = lines.indexOf('  }', start)
  return lines.slice(start + 1, end).map((line) => line.trim().replace(/,$/, ''))
}
const elements = (rules: string, map: string): readonly string[] => {
  const lines = block(rules, map)
  const start = lines.indexOf('elements = {')
  return start < 0 ? [] : lines.slice(start + 1, -1)
}
const GROUP = deviceGroup('a0a0a0a0a0a0a0a0')

describe('published ports', () => {
  test('one container’s port is data of one map, whatever the protocol', () => {
    const rules = published(
      endpoint(),
      endpoint({ protocol: 'udp', hostPort: 53, containerPort: 5353 }),
      endpoint({ protocol: 'sctp', hostPort: 3868, containerPort: 3868 }),
    )
    expect(elements(rules, 'tcp4')).toEqual(['8080 : 10.0.0.2 . 80'])
    expect(elements(rules, 'udp4')).toEqual(['53 : 10.0.0.2 . 5353'])
    expect(elements(rules, 'sctp4')).toEqual(['3868 : 10.0.0.2 . 3868'])
    expect(block(rules, 'publish_tcp')).toEqual(['meta nfproto ipv4 dnat ip to tcp dport map @tcp4'])
  })

  test('a port bound to one address matches only there, and before one on all', () => {
    const rules = published(
      endpoint({ ip: '10.0.0.3' }),
      endpoint({ hostIp: '127.0.0.1' }),
      endpoint({ hostIp: 'fd00::5', ip: 'fd01::2' }),
    )
    expect(elements(rules, 'tcp4_at')).toEqual(['127.0.0.1 . 8080 : 10.0.0.2 . 80'])
    expect(elements(rules, 'tcp6_at')).toEqual(['fd00::5 . 8080 : fd01::2 . 80'])
    expect(block(rules, 'publish_tcp')).toEqual([
      'dnat ip to ip daddr . tcp dport map @tcp4_at',
      'meta nfproto ipv4 dnat ip to tcp dport map @tcp4',
      'dnat ip6 to ip6 daddr . tcp dport map @tcp6_at',
    ])
    expect(published(endpoint({ hostIp: '0.0.0.0' }))).toBe(published(endpoint()))
  })

  test('a shared port goes to its containers in turn, one rule for all of them', () => {
    const rules = published(
      endpoint(),
      endpoint({ ip: '10.0.0.3' }),
      endpoint({ ip: '10.0.0.4', containerPort: 81 }),
    )
    expect(elements(rules, 'tcp4_shared')).toEqual(['8080 : goto tcp4_0'])
    expect(block(rules, 'tcp4_0')).toEqual([
      'meta l4proto tcp dnat ip to numgen inc mod 3 map { 0 : 10.0.0.2 . 80, 1 : 10.0.0.3 . 80, 2 : 10.0.0.4 . 81 }',
    ])
  })

  test('an address of one family leads to none of the other', () =>
    expect(published(endpoint({ hostIp: '::1' }))).toBe(published()))

  test('a container of an internal network publishes nothing', () => {
    const inner = [network({ isInternal: true })]
    expect(plan(inner, endpoint())).toBe(plan(inner))
  })

  test('the order of endpoints of different ports, and that of networks, does not change the rules', () => {
    const ports = fc.uniqueArray(fc.integer({ min: 1, max: 65_535 }), { maxLength: 20 })
    const others = [network(), network({ id: 'b1', link: 'b1', subnets: ['10.1.0.0/24'] })]
    fc.assert(
      fc.property(ports, fc.func(fc.integer()), (hostPorts, rank) => {
        const endpoints = hostPorts.map((hostPort) => endpoint({ hostPort }))
        const shuffled = [...endpoints].sort((a, b) => rank(a.hostPort) - rank(b.hostPort))
        expect(plan([...others].reverse(), ...shuffled)).toBe(plan(others, ...endpoints))
        expect(elements(plan(others, ...endpoints), 'tcp4')).toHaveLength(hostPorts.length)
      }),
      { numRuns: 200 },
    )
  })
})

describe('isolation', () => {
  test('only what is established, published or of the network itself passes into it', () =>
    expect(block(plan([network()]), 'into_a0a0a0a0a0a0')).toEqual([
      'iifname "b0" accept',
      `iifgroup ${GROUP} accept`,
      'ct state established,related accept',
      'ct status dnat accept',
      'drop',
    ]))

  test('with icc off, not even what is of the network itself', () =>
    expect(block(plan([network({ isIccAllowed: false })]), 'into_a0a0a0a0a0a0')).toEqual([
      'ct state established,related accept',
      'ct status dnat accept',
      'drop',
    ]))

  test('an internal network is entered and left by nobody, and sees of the host its own addresses only', () => {
    const rules = plan([network({ isInternal: true, subnets: ['10.0.0.0/24', 'fd00::/64'] })])
    expect(block(rules, 'into_a0a0a0a0a0a0')).toEqual([
      'iifname "b0" accept',
      `iifgroup ${GROUP} accept`,
      'drop',
    ])
    expect(block(rules, 'out_a0a0a0a0a0a0').at(-1)).toBe('drop')
    expect(block(rules, 'host_a0a0a0a0a0a0')).toEqual([
      'ip daddr { 10.0.0.0/24 } return',
      'ip6 daddr { fd00::/64, fe80::/10, ff00::/8 } return',
      'drop',
    ])
    expect(block(rules, 'from_a0a0a0a0a0a0')).not.toContain('masquerade')
  })

  test('E7: loopback from elsewhere and containers’ own addresses are dropped before connection tracking', () => {
    const rules = plan([network()])
    expect(block(rules, 'guard').slice(0, 3)).toEqual([
      'type filter hook prerouting priority raw; policy accept;',
      'iifname "lo" return',
      'ip daddr 127.0.0.0/8 drop',
    ])
    expect(elements(rules, 'own4')).toEqual(['10.0.0.0/24 : goto own_a0a0a0a0a0a0'])
    expect(block(rules, 'own_a0a0a0a0a0a0').at(-1)).toBe('drop')
  })

  test('answers to a network that is not masqueraded come to its own addresses, so the guard lets them', () => {
    const rules = plan([network({ isMasqueraded: false })])
    expect(elements(rules, 'own4')).toEqual([])
    expect(block(rules, 'into_a0a0a0a0a0a0').at(-1)).toBe('drop')
    expect(block(rules, 'from_a0a0a0a0a0a0')).not.toContain('masquerade')
  })

  test('other drivers’ networks have rules of their own', () =>
    expect(plan([network({ driver: 'macvlan' })])).toBe(plan([])))
})

describe('the table', () => {
  test('is replaced as a whole in one transaction, an earlier version’s too', () =>
    expect(plan([]).split('\n').slice(0, 5)).toEqual([
      'table ip t0 {}',
      'delete table ip t0',
      'table inet t0 {}',
      'delete table inet t0',
      'table inet t0 {',
    ]))

  test('says who may reach whom before what is published', () => {
    const rules = published(endpoint())
    expect(rules.indexOf('chain guard')).toBeLessThan(rules.indexOf('chain forward'))
    expect(rules.indexOf('chain forward')).toBeLessThan(rules.indexOf('chain publish_tcp'))
  })

  test('base chains are as long for a thousand networks and ports as for one', () => {
    const many = Array.from({ length: 1_000 }, (_, index) =>
      network({ id: `n${index}`, link: `b${index}`, subnets: [`10.${index >> 8}.${index & 255}.0/24`] }),
    )
    const ports = Array.from({ length: 1_000 }, (_, index) => endpoint({ hostPort: 1 + index }))
    for (const chain of ['guard', 'forward', 'input', 'prerouting', 'output', 'publish_tcp', 'postrouting'])
      expect(block(plan(many, ...ports), chain)).toEqual(block(plan([network()], endpoint()), chain))
  })
})
