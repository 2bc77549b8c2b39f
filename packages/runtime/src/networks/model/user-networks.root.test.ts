import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { Fault } from '@berth/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ContainerInfo, ContainerSpec, EndpointSpec, NetworkSpec } from '../../api.js'
import {
  buildTinyImage,
  openTestRuntime,
  spawnRuntime,
  type TestRuntime,
  until,
} from '../../testing/index.js'
import { findLink } from '../kernel/links/find-link.exec.js'

let host: TestRuntime
let subnets = 0
beforeEach(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime)
})
afterEach(() => host?.dispose())

const nextSubnet = () => `10.${200 + (process.pid % 20)}.${(subnets++ * 7 + process.pid) % 250}.0/24`
const withSubnet = (name: string, subnet = nextSubnet()): NetworkSpec => ({ name, pools: [{ subnet }] })
const inside = (name: string, networks: Record<string, EndpointSpec>): ContainerSpec => ({
  ...{ name, image: 'tiny:1', command: ['sleep', '1000'], networks },
})
const bridgeOf = ({ id }: { id: string }) => findLink(`br-${id.slice(0, 12)}`)
const up = async (spec: ContainerSpec): Promise<ContainerInfo> => {
  const { id } = await host.runtime.containers.create(spec)
  return host.runtime.containers.start(id)
}
const linksIn = ({ pid = 0 }: ContainerInfo) =>
  readFileSync(`/proc/${pid}/net/dev`, 'utf8')
    .split('\n')
    .flatMap((line) => /^\s*(eth\d+):/.exec(line)?.[1] ?? [])
    .sort()
const codes = (results: readonly PromiseSettledResult<unknown>[]) =>
  results.flatMap((result) => (result.status === 'rejected' ? [Fault.from(result.reason).code] : []))

test('F37: of 100 networks made at once under one name one comes to be, and no bridge of another is left', async () => {
  const { networks } = host.runtime
  const results = await Promise.allSettled(
    Array.from({ length: 100 }, () => networks.create({ name: 'one' })),
  )
  expect(new Set(codes(results))).toEqual(new Set(['network.name_taken']))
  expect(codes(results)).toHaveLength(99)
  expect(networks.list().filter(({ isPredefined }) => !isPredefined)).toHaveLength(1)
  await networks.remove('one')
  await expect(networks.create({ name: 'one' })).resolves.toMatchObject({ name: 'one' })
})

test('F37: of 100 networks made at once with one subnet one comes to be', async () => {
  const { networks } = host.runtime
  const subnet = nextSubnet()
  const results = await Promise.allSettled(
    Array.from({ length: 100 }, (_, at) => networks.create(withSubnet(`n${at}`, subnet))),
  )
  expect(codes(results)).toHaveLength(99)
  expect(new Set(codes(results))).toEqual(new Set(['network.subnet_overlaps']))
})

test('F37: of 100 containers made at once with one address one comes to be, and nothing of the others is left', async () => {
  const { networks, containers } = host.runtime
  const subnet = nextSubnet()
  await networks.create(withSubnet('n', subnet))
  const ipv4 = subnet.replace('.0/24', '.9')
  const make = () =>
    Promise.allSettled(
      Array.from({ length: 100 }, (_, at) => containers.create(inside(`c${at}`, { n: { ipv4 } }))),
    )
  const results = await make()
  expect(codes(results)).toHaveLength(99)
  expect(new Set(codes(results))).toEqual(new Set(['network.address_taken']))
  const [made] = await containers.list()
  expect(await containers.list()).toHaveLength(1)
  await containers.remove(made?.id as never)
  expect(codes(await make())).toHaveLength(99)
})

test('F48: a pool without addresses is told by name, takes nothing, and has one again when one is freed', async () => {
  const { networks, containers } = host.runtime
  await networks.create(withSubnet('small', nextSubnet().replace('/24', '/29')))
  const made: ContainerInfo[] = []
  for (let at = 0; at < 5; at++) made.push(await containers.create(inside(`c${at}`, { small: {} })))
  const more = containers.create(inside('more', { small: {} }))
  await expect(more).rejects.toMatchObject({ code: 'network.addresses_exhausted' })
  await expect(more).rejects.toThrow(/no available IPv4 addresses on this network's address pools: small/)
  await containers.remove(made[2]?.id as never)
  await expect(containers.create(inside('more', { small: {} }))).resolves.toMatchObject({ state: 'created' })
})

test('F48: default pools that are used up are told, and free again with their networks', async () => {
  const { networks } = host.runtime
  const names: string[] = []
  let failure: unknown
  while (failure === undefined && names.length < 40)
    try {
      names.push((await networks.create({ name: `n${names.length}` })).name)
    } catch (error) {
      failure = error
    }
  expect(failure).toMatchObject({ code: 'network.pools_exhausted' })
  await networks.remove(names[0] ?? '')
  await expect(networks.create({ name: 'again' })).resolves.toMatchObject({ name: 'again' })
})

test('the default gateway is that of the highest priority, equal ones by name, of internal ones never', async () => {
  const { networks, containers } = host.runtime
  for (const name of ['aa', 'bb']) await networks.create(withSubnet(name))
  await networks.create({ ...withSubnet('a0'), internal: true })
  const gateway = (name: string) => networks.get(name).pools[0]?.gateway
  const routeOf = ({ pid = 0 }: ContainerInfo) => {
    const line = readFileSync(`/proc/${pid}/net/route`, 'utf8')
      .split('\n')
      .find((text) => /\t00000000\t/.test(text))
    return (line?.split('\t')[2]?.match(/../g) ?? [])
      .reverse()
      .map((hex) => Number.parseInt(hex, 16))
      .join('.')
  }
  const container = await up(inside('c', { bb: {}, a0: {}, aa: {} }))
  expect(linksIn(container)).toEqual(['eth0', 'eth1', 'eth2'])
  expect(routeOf(container)).toBe(gateway('aa'))
  await networks.disconnect('aa', container.id)
  expect(routeOf(container)).toBe(gateway('bb'))
  await networks.connect('aa', container.id, { gatewayPriority: -1, macAddress: '02:00:00:00:00:09' })
  expect(routeOf(container)).toBe(gateway('bb'))
  const { endpoints = [] } = await containers.inspect(container.id)
  expect(endpoints.find(({ networkName }) => networkName === 'aa')?.macAddress).toBe('02:00:00:00:00:09')
})

test('a network in use is not removed, and its users are named', async () => {
  const { networks } = host.runtime
  await networks.create(withSubnet('n'))
  await up(inside('user', { n: {} }))
  await expect(networks.remove('n')).rejects.toMatchObject({ code: 'network.in_use' })
  await expect(networks.remove('n')).rejects.toThrow(/user/)
  await expect(networks.remove('bridge')).rejects.toMatchObject({ code: 'network.predefined' })
})

describe('killed at any point', () => {
  const crash = async (failpoint: string, ...calls: Parameters<typeof spawnRuntime>[0]['calls']) => {
    await host.runtime.close()
    const end = await spawnRuntime({ options: host.options, calls }, `${failpoint}=kill`).ended
    expect(end.signal).toBe('SIGKILL')
    return host.reopen()
  }

  test.each(['network.create.after_row', 'network.create.after_link'])(
    'create at %s: it is there',
    async (point) => {
      const runtime = await crash(point, ['networks', 'create', withSubnet('n')])
      expect(await bridgeOf(runtime.networks.get('n'))).toMatchObject({ isUp: true })
      await runtime.networks.remove('n')
    },
  )

  test('remove at network.remove.after_link: it is whole, and can be removed', async () => {
    await host.runtime.networks.create(withSubnet('n'))
    const runtime = await crash('network.remove.after_link', ['networks', 'remove', 'n'])
    const row = runtime.networks.get('n')
    expect(await bridgeOf(row)).toMatchObject({ isUp: true })
    await runtime.networks.remove('n')
    expect(await bridgeOf(row)).toBeUndefined()
  })

  test.each(['network.connect.after_row', 'network.connect.after_plug'])(
    'connect at %s: it is connected',
    async (point) => {
      for (const name of ['one', 'two']) await host.runtime.networks.create(withSubnet(name))
      const { id } = await up(inside('c', { one: {} }))
      const runtime = await crash(point, ['networks', 'connect', 'two', id])
      const container = await runtime.containers.inspect(id)
      expect(container.endpoints?.map(({ networkName }) => networkName)).toEqual(['one', 'two'])
      expect(linksIn(container)).toEqual(['eth0', 'eth1'])
    },
  )

  test('disconnect at network.disconnect.after_unplug: it is connected still', async () => {
    for (const name of ['one', 'two']) await host.runtime.networks.create(withSubnet(name))
    const { id } = await up(inside('c', { one: {}, two: {} }))
    const runtime = await crash('network.disconnect.after_unplug', ['networks', 'disconnect', 'two', id])
    expect(linksIn(await runtime.containers.inspect(id))).toEqual(['eth0', 'eth1'])
    await runtime.networks.disconnect('two', id)
    expect(linksIn(await runtime.containers.inspect(id))).toEqual(['eth0'])
  })
})

describe('ports of a container with both families', () => {
  const dual = async (name: string): Promise<{ readonly ipv4: string; readonly ipv6: string }> => {
    const subnet = nextSubnet()
    const prefix = `fd00:${(process.pid % 0xffff).toString(16)}:${(subnets % 0xffff).toString(16)}`
    await host.runtime.networks.create({
      ...{ name, ipv6: true, pools: [{ subnet }, { subnet: `${prefix}::/64` }] },
    })
    return { ipv4: subnet.replace('.0/24', '.1'), ipv6: `${prefix}::1` }
  }
  const serving = (name: string, network: string, ports: ContainerSpec['ports']): ContainerSpec => ({
    ...inside(name, { [network]: {} }),
    command: ['sh', '-c', 'mkdir -p /www && echo of-it > /www/x && exec httpd -f -p 80 -h /www'],
    ports: ports ?? [],
  })
  const answers = (address: string, port: number): Promise<string> =>
    fetch(`http://${address}:${port}/x`, { signal: AbortSignal.timeout(2_000) }).then(
      (response) => response.text(),
      (error: unknown) => String((error as { cause?: { code?: string } }).cause?.code ?? error),
    )
  const port = (hostPort: number, hostIp?: string) => ({
    ...{ protocol: 'tcp' as const, containerPort: 80, hostPort },
    ...(hostIp === undefined ? {} : { hostIp }),
  })

  test('are reached in both, or in the one that was named', async () => {
    const at = await dual('both')
    await up(serving('all', 'both', [port(31_501)]))
    await up(serving('six', 'both', [port(31_502, '::')]))
    await up(serving('four', 'both', [port(31_503, '0.0.0.0')]))
    await up(serving('one', 'both', [port(31_504, at.ipv6)]))
    await until('they serve', async () => (await answers(`[${at.ipv6}]`, 31_504)) === 'of-it\n')
    const [four, six] = [at.ipv4, `[${at.ipv6}]`]
    const all = [31_501, 31_502, 31_503, 31_504]
    expect(await Promise.all(all.map((number) => answers(four, number)))).toEqual([
      ...['of-it\n', 'ECONNREFUSED', 'of-it\n', 'ECONNREFUSED'],
    ])
    expect(await Promise.all(all.map((number) => answers(six, number)))).toEqual([
      ...['of-it\n', 'of-it\n', 'ECONNREFUSED', 'of-it\n'],
    ])
  })

  test('an IPv6 port of a container without IPv6 is refused at its start, which changes nothing', async () => {
    await host.runtime.networks.create(withSubnet('plain'))
    const { id } = await host.runtime.containers.create(serving('plain', 'plain', [port(31_505, '::')]))
    await expect(host.runtime.containers.start(id)).rejects.toMatchObject({ code: 'port.host_ip_invalid' })
    expect(await host.runtime.containers.inspect(id)).toMatchObject({ state: 'created' })
  })

  test('a program of this host that listens in IPv6 alone keeps its port', async () => {
    await dual('both')
    const server = createServer().listen({ port: 31_506, host: '::1', ipv6Only: true })
    await once(server, 'listening')
    await expect(up(serving('late', 'both', [port(31_506)]))).rejects.toMatchObject({ code: 'port.in_use' })
    server.close()
  })
})
