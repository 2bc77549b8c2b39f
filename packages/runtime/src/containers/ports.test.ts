import { describe, expect, test } from 'vitest'
import type { PortMapping } from '../api.js'
import type { EndpointRow } from '../networks/model/endpoint-row.js'
import { assertPortsFree, endpointsOf } from './ports.js'

const port = (hostIp?: string, change: Partial<PortMapping> = {}): PortMapping => ({
  ...{ protocol: 'tcp', containerPort: 80, hostPort: 8080 },
  ...(hostIp === undefined ? {} : { hostIp }),
  ...change,
})

describe('two containers and one host port', () => {
  test.each([
    [undefined, undefined],
    [undefined, '127.0.0.1'],
    [undefined, 'fd00::1'],
    ['', '::'],
    ['0.0.0.0', '127.0.0.1'],
    ['::', 'fd00::1'],
    ['0::0', 'fd00::1'],
    ['127.0.0.1', '127.0.0.1'],
    ['fd00::1', 'fd00:0:0::1'],
  ])('at %j and %j do not go together', (held, wanted) => {
    for (const [a, b] of [
      [held, wanted],
      [wanted, held],
    ])
      expect(() => assertPortsFree('new', [port(a)], [{ name: 'old', ports: [port(b)] }])).toThrow(
        expect.objectContaining({ code: 'port.in_use', message: expect.stringContaining('old') }),
      )
  })

  test.each([
    ['127.0.0.1', '127.0.0.2'],
    ['fd00::1', 'fd00::2'],
    ['0.0.0.0', '::'],
    ['127.0.0.1', '::'],
  ])('at %j and %j do', (held, wanted) => {
    assertPortsFree('new', [port(wanted)], [{ name: 'old', ports: [port(held)] }])
  })

  test('of two protocols, or of one group, do', () => {
    const shared = port(undefined, { group: 'web' })
    assertPortsFree('new', [port(undefined, { protocol: 'udp' })], [{ name: 'old', ports: [port()] }])
    assertPortsFree('new', [shared], [{ name: 'old', ports: [shared] }])
  })
})

describe('where a publication leads', () => {
  const endpoint = (change: Partial<EndpointRow>): EndpointRow =>
    ({
      ...{ id: 'e', networkId: 'n', networkName: 'dual', interfaceName: 'eth0', spec: {} },
      ...{ ipv4: { address: '10.1.0.2', prefix: 24 }, gateway: '10.1.0.1' },
      ...change,
    }) as EndpointRow
  const dual = endpoint({ ipv6: { address: 'fd00::2', prefix: 64 }, gatewayIpv6: 'fd00::1' })
  const led = (endpoints: readonly EndpointRow[], ...ports: readonly PortMapping[]) =>
    endpointsOf([{ state: 'running', ipAddress: undefined, published: true, endpoints, ports }]).map(
      ({ hostIp, ip }) => `${hostIp ?? ''} > ${ip}`,
    )

  test.each([
    [undefined, [' > 10.1.0.2', ' > fd00::2']],
    ['0.0.0.0', ['0.0.0.0 > 10.1.0.2']],
    ['127.0.0.1', ['127.0.0.1 > 10.1.0.2']],
    ['::', [':: > fd00::2']],
    ['fd00::9', ['fd00::9 > fd00::2']],
  ])('at %j: to the address of the same family', (hostIp, expected) => {
    expect(led([dual], port(hostIp))).toEqual(expected)
  })

  test('a container without IPv6 is reached in IPv4 alone', () => {
    expect(led([endpoint({})], port())).toEqual([' > 10.1.0.2'])
    expect(led([endpoint({})], port('::'))).toEqual([])
  })
})
