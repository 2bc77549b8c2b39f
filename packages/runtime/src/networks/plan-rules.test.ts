import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type PublishedEndpoint, planRules } from './plan-rules.js'

const endpoint = (change: Partial<PublishedEndpoint> = {}): PublishedEndpoint => ({
  protocol: 'tcp',
  hostIp: undefined,
  hostPort: 8080,
  ip: '10.0.0.2',
  containerPort: 80,
  ...change,
})
const plan = (...endpoints: PublishedEndpoint[]) =>
  planRules({ table: 't0', bridge: 'b0', subnet: '10.0.0.0/24', endpoints })
const published = (...endpoints: PublishedEndpoint[]) =>
  (/chain publish \{\n([^}]*(?:\{[^}]*\}[^}]*)*)\n {2}\}\n/.exec(plan(...endpoints))?.[1] ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)

describe('packet rules', () => {
  test('an exclusive port leads to its one container', () => {
    expect(published(endpoint())).toEqual(['tcp dport 8080 dnat to 10.0.0.2:80'])
    expect(published(endpoint({ protocol: 'udp', hostPort: 53, containerPort: 5353 }))).toEqual([
      'udp dport 53 dnat to 10.0.0.2:5353',
    ])
  })

  test('a port bound to one address matches only there', () => {
    expect(published(endpoint({ hostIp: '127.0.0.1' }))).toEqual([
      'ip daddr 127.0.0.1 tcp dport 8080 dnat to 10.0.0.2:80',
    ])
    expect(published(endpoint({ hostIp: '0.0.0.0' }))).toEqual(published(endpoint()))
  })

  test('a shared port goes to its containers in turn, one rule for all of them', () => {
    expect(
      published(endpoint(), endpoint({ ip: '10.0.0.3' }), endpoint({ ip: '10.0.0.4', containerPort: 81 })),
    ).toEqual([
      'tcp dport 8080 dnat ip to numgen inc mod 3 map { 0 : 10.0.0.2 . 80, 1 : 10.0.0.3 . 80, 2 : 10.0.0.4 . 81 }',
    ])
  })

  test('without endpoints nothing is published and the rest of the table stays', () => {
    expect(published()).toEqual([])
    expect(plan()).toContain('oifname "b0" drop')
  })

  test('the table is replaced as a whole in one transaction', () => {
    expect(plan().startsWith('table ip t0 {}\ndelete table ip t0\ntable ip t0 {')).toBe(true)
  })

  test('only what is established, published or comes from a container passes the bridge', () => {
    const forward = /chain forward \{([^}]*)\}/
      .exec(plan())?.[1]
      ?.trim()
      .split('\n')
      .map((line) => line.trim())
    expect(forward).toEqual([
      'type filter hook forward priority filter;',
      'oifname "b0" ct state established,related accept',
      'oifname "b0" ct status dnat accept',
      'iifname "b0" accept',
      'oifname "b0" drop',
    ])
  })

  test('the order of endpoints of different ports does not change the rules', () => {
    const ports = fc.uniqueArray(fc.integer({ min: 1, max: 65_535 }), { maxLength: 20 })
    fc.assert(
      fc.property(ports, fc.func(fc.integer()), (hostPorts, rank) => {
        const endpoints = hostPorts.map((hostPort) => endpoint({ hostPort }))
        const shuffled = [...endpoints].sort((a, b) => rank(a.hostPort) - rank(b.hostPort))
        expect(plan(...shuffled)).toBe(plan(...endpoints))
        expect(published(...endpoints)).toHaveLength(hostPorts.length)
      }),
      { numRuns: 200 },
    )
  })
})
