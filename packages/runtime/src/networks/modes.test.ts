import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ContainerSpec, PortMapping } from '../api.js'
import { hasCable, macOf, parseMac, publishedPorts } from './modes.js'

const port: PortMapping = { protocol: 'tcp', containerPort: 80, hostPort: 8080 }
const spec = (change: Partial<ContainerSpec>): ContainerSpec => ({ name: 'c', image: 'i', ...change })

describe('which containers get a cable', () => {
  test.each<[ContainerSpec['network'], boolean]>([
    [undefined, true],
    ['bridge', true],
    ['none', false],
    ['host', false],
    [{ container: 'other' }, false],
  ])('network %j: %s', (network, expected) =>
    expect(hasCable(network === undefined ? spec({}) : spec({ network }))).toBe(expected),
  )
})

describe('which ports are published', () => {
  test('all of a container with an address', () =>
    expect(publishedPorts(spec({ ports: [port] }))).toEqual([port]))
  test.each(['none', 'host'] as const)('none on network %s', (network) =>
    expect(publishedPorts(spec({ network, ports: [port] }))).toEqual([]),
  )
  test('a container in another’s network is told to publish there', () =>
    expect(() => publishedPorts(spec({ network: { container: 'db' }, ports: [port] }))).toThrow(
      expect.objectContaining({ code: 'container.spec_invalid', message: expect.stringContaining('db') }),
    ))
  test.each(['::1', '0:0::1', 'fd00::1%eth0', 'localhost', '127.0.0', '1.2.3.4.5'])(
    '%s is refused as a host address',
    (hostIp) =>
      expect(() => publishedPorts(spec({ ports: [{ ...port, hostIp }] }))).toThrow(
        expect.objectContaining({ code: 'port.host_ip_invalid', params: { hostIp } }),
      ),
  )
  test.each(['', '0.0.0.0', '127.0.0.1', '::', 'fd00::1'])('%j is a host address', (hostIp) =>
    expect(publishedPorts(spec({ ports: [{ ...port, hostIp }] }))).toHaveLength(1),
  )
})

describe('hardware addresses', () => {
  test.each([
    ['02:42:0A:58:00:02', '02:42:0a:58:00:02'],
    ['92-d0-c6-0a-29-33', '92:d0:c6:0a:29:33'],
  ])('%s is read as %s', (text, expected) => expect(parseMac(text)).toBe(expected))
  test.each([
    '',
    '02:42',
    '01:00:5e:00:00:01',
    '00:00:00:00:00:00',
    '02:42:0a:58:00:zz',
    '02:42:0a:58:00:02:03',
  ])('%j is refused', (text) =>
    expect(() => parseMac(text)).toThrow(expect.objectContaining({ code: 'network.mac_invalid' })),
  )
  test('that of an address is one of one interface, and no two are the same', () => {
    const address = fc.ipV4()
    fc.assert(
      fc.property(address, address, (a, b) => {
        expect(parseMac(macOf(a))).toBe(macOf(a))
        expect(macOf(a) === macOf(b)).toBe(a === b)
      }),
    )
  })
})
