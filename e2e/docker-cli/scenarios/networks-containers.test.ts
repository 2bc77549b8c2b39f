import { describe, expect, test } from 'vitest'
import {
  containerName,
  docker,
  dockerSpawn,
  idle,
  inspect,
  lines,
  out,
  running,
  sh,
  unique,
  until,
} from '../support/docker.js'
import { TINY } from '../support/images.js'
import { network } from '../support/networks.js'

const serve = ['httpd', '-f', '-p', '8080', '-h', '/etc']
const endpointOf = async (container: string, name: string) =>
  (await inspect(container)).NetworkSettings.Networks[name]
const networksOf = async (container: string): Promise<readonly string[]> =>
  Object.keys((await inspect(container)).NetworkSettings.Networks).toSorted()
const ask = (ip: string, ...options: readonly string[]): Promise<string> =>
  sh(
    `for i in 1 2 3 4 5 6 7 8; do timeout 1 wget -q -O - http://${ip}:8080/motd && exit; sleep 0.1; done 2>/dev/null; exit 1`,
    ...options,
  )

describe('a container in a network of its own', () => {
  test('has an address of the subnet, a route through its gateway, and no other network', async () => {
    const name = await network('--subnet', '10.210.0.0/24', '--gateway', '10.210.0.1')
    const container = await idle('--network', name)
    expect(await networksOf(container)).toEqual([name])
    const { IPAddress, IPPrefixLen, Gateway, MacAddress, NetworkID, EndpointID } = await endpointOf(
      container,
      name,
    )
    expect(IPAddress).toMatch(/^10\.210\.0\.\d+$/)
    expect([IPPrefixLen, Gateway]).toEqual([24, '10.210.0.1'])
    expect(NetworkID).toBe((await inspect(name, 'network')).Id)
    expect(EndpointID).toMatch(/^[0-9a-f]{64}$/)
    expect(await out('exec', container, 'ip', '-4', 'addr', 'show', 'eth0')).toContain(
      `inet ${IPAddress}/24 `,
    )
    expect(await out('exec', container, 'ip', 'route')).toContain('default via 10.210.0.1 dev eth0')
    expect(await out('exec', container, 'cat', '/sys/class/net/eth0/address')).toBe(MacAddress)
  })

  test('NetworkMode is what was asked for, and the top addresses are empty', async () => {
    const name = await network()
    const { HostConfig, NetworkSettings } = await inspect(await idle('--network', name))
    expect(HostConfig.NetworkMode).toBe(name)
    expect(NetworkSettings.IPAddress).toBe('')
  })

  test('is listed by inspect of the network while it runs', async () => {
    const name = await network()
    const container = await idle('--network', name)
    const { Id } = await inspect(container)
    const { IPAddress, IPPrefixLen, MacAddress, EndpointID } = await endpointOf(container, name)
    expect((await inspect(name, 'network')).Containers).toEqual({
      [Id]: {
        ...{ Name: container, EndpointID, MacAddress },
        ...{ IPv4Address: `${IPAddress}/${IPPrefixLen}`, IPv6Address: '' },
      },
    })
    await out('kill', container)
    await until(
      'the network is empty',
      async () => Object.keys((await inspect(name, 'network')).Containers).length === 0,
    )
  })

  test('the network may be named by the beginning of its id', async () => {
    const name = await network()
    const { Id } = await inspect(name, 'network')
    const container = await idle('--network', Id.slice(0, 12))
    expect(Object.values((await inspect(container)).NetworkSettings.Networks)).toMatchObject([
      { NetworkID: Id },
    ])
  })

  test('two in one network reach each other', async () => {
    const name = await network()
    const { IPAddress } = await endpointOf(await running(['--network', name], serve), name)
    expect(await ask(IPAddress, '--network', name)).toBe('hello from tiny')
  })

  test('two in two networks do not', async () => {
    const [one, two] = [await network(), await network()]
    const { IPAddress } = await endpointOf(await running(['--network', one], serve), one)
    const { code } = await docker(
      'run',
      '--rm',
      '--network',
      two,
      TINY,
      'sh',
      '-c',
      `timeout 1 wget -q -O - http://${IPAddress}:8080/motd; exit $?`,
    )
    expect(code).not.toBe(0)
    expect(await ask(IPAddress, '--network', one)).toBe('hello from tiny')
  })

  test('in an internal network they reach each other', async () => {
    const name = await network('--internal')
    const { IPAddress } = await endpointOf(await running(['--network', name], serve), name)
    expect(await ask(IPAddress, '--network', name)).toBe('hello from tiny')
  })

  test('--ip gives that address, also after a restart', async () => {
    const name = await network('--subnet', '10.211.0.0/24')
    const container = await idle('--network', name, '--ip', '10.211.0.77')
    expect((await endpointOf(container, name)).IPAddress).toBe('10.211.0.77')
    await out('restart', '-t', '0', container)
    const { IPAddress, IPAMConfig } = await endpointOf(container, name)
    expect([IPAddress, IPAMConfig.IPv4Address]).toEqual(['10.211.0.77', '10.211.0.77'])
  })

  test('an address that a running container has is refused, and free again after it', async () => {
    const name = await network('--subnet', '10.212.0.0/24')
    const first = await idle('--network', name, '--ip', '10.212.0.5')
    const { code, stderr } = await docker(
      'run',
      '--rm',
      '--name',
      containerName(),
      '--network',
      name,
      '--ip',
      '10.212.0.5',
      TINY,
      'true',
    )
    expect(code).toBe(125)
    expect(stderr).toContain('Address already in use')
    await out('rm', '-f', first)
    await idle('--network', name, '--ip', '10.212.0.5')
  })

  test('an address outside of the subnet is refused', async () => {
    const name = await network('--subnet', '10.213.0.0/24')
    const { code } = await docker(
      'run',
      '--rm',
      '--name',
      containerName(),
      '--network',
      name,
      '--ip',
      '10.9.9.9',
      TINY,
      'true',
    )
    expect(code).toBe(125)
  })

  test('a fixed address needs a subnet that somebody chose', async () => {
    const name = await network()
    const { code, stderr } = await docker(
      'run',
      '--rm',
      '--name',
      containerName(),
      '--network',
      name,
      '--ip',
      '172.31.0.9',
      TINY,
      'true',
    )
    expect(code).toBe(125)
    expect(stderr).toContain(
      'user specified IP address is supported only when connecting to networks with user configured subnets',
    )
    const predefined = await docker(
      'run',
      '--rm',
      '--name',
      containerName(),
      '--ip',
      '172.17.0.9',
      TINY,
      'true',
    )
    expect(predefined.code).toBe(125)
    expect(predefined.stderr).toContain(
      'user specified IP address is supported on user defined networks only',
    )
  })

  test('a pool with no address left is told, and one that leaves makes room', async () => {
    const name = await network('--subnet', '10.214.0.0/30')
    const first = await idle('--network', name)
    const { code, stderr } = await docker(
      'run',
      '--rm',
      '--name',
      containerName(),
      '--network',
      name,
      TINY,
      'true',
    )
    expect(code).toBe(125)
    expect(stderr).toMatch(/no available IPv4 addresses on this network's address pools/)
    await out('rm', '-f', first)
    await idle('--network', name)
  })

  test('reserved addresses and the gateway are given to nobody', async () => {
    const pool = ['--subnet', '10.215.0.0/29', '--gateway', '10.215.0.1']
    const name = await network(...pool, '--aux-address', 'a=10.215.0.2', '--aux-address', 'b=10.215.0.4')
    const given = []
    for (let at = 0; at < 3; at++)
      given.push((await endpointOf(await idle('--network', name), name)).IPAddress)
    expect(given.toSorted()).toEqual(['10.215.0.3', '10.215.0.5', '10.215.0.6'])
  })

  test('--ip-range is where addresses come from', async () => {
    const name = await network(
      '--subnet',
      '10.216.0.0/16',
      '--ip-range',
      '10.216.9.0/24',
      '--gateway',
      '10.216.0.1',
    )
    expect((await endpointOf(await idle('--network', name), name)).IPAddress).toMatch(/^10\.216\.9\./)
  })

  test('the MTU of the network is that of the interface', async () => {
    const name = await network('--opt', 'com.docker.network.driver.mtu=1333')
    expect(await sh('cat /sys/class/net/eth0/mtu', '--network', name)).toBe('1333')
  })

  test('aliases are kept, and refused in the default network', async () => {
    const name = await network()
    const container = await idle('--network', name, '--network-alias', 'web', '--network-alias', 'www')
    expect((await endpointOf(container, name)).Aliases).toEqual(expect.arrayContaining(['web', 'www']))
    const { code, stderr } = await docker(
      'run',
      '--rm',
      '--name',
      containerName(),
      '--network-alias',
      'web',
      TINY,
      'true',
    )
    expect(code).toBe(125)
    expect(stderr).toContain('network-scoped alias')
  })

  test('--link is kept with the network', async () => {
    const name = await network()
    const first = await idle('--network', name)
    const second = await idle('--network', name, '--link', `${first}:db`)
    expect((await endpointOf(second, name)).Links).toEqual([`${first}:db`])
  })

  test('/etc/hosts has its address and its name', async () => {
    const name = await network()
    const container = await idle('--network', name, '--hostname', 'me')
    const { IPAddress } = await endpointOf(container, name)
    expect(await out('exec', container, 'cat', '/etc/hosts')).toMatch(new RegExp(`^${IPAddress}\\s+me$`, 'm'))
  })

  test('a published port leads to it', async () => {
    const name = await network()
    await running(['--network', name, '-p', '18300:8080'], serve)
    await until('the port answers', async () => {
      const { stdout } = await docker(
        'run',
        '--rm',
        '--network',
        'host',
        TINY,
        'sh',
        '-c',
        `timeout 1 wget -q -O - http://127.0.0.1:18300/motd; exit $?`,
      )
      return stdout.trim() === 'hello from tiny'
    })
  })

  test('a network that is not there: the container is made and does not start', async () => {
    const name = containerName()
    const { code, stderr } = await docker(
      'run',
      '-d',
      '--name',
      name,
      '--network',
      'no-such-network',
      TINY,
      'true',
    )
    expect(code).toBe(125)
    expect(stderr).toContain('network no-such-network not found')
    expect((await inspect(name)).State.Status).toBe('created')
  })

  test('ps --filter network= by name and by id', async () => {
    const name = await network()
    const container = await idle('--network', name)
    const { Id } = await inspect(name, 'network')
    for (const wanted of [name, Id])
      expect(await lines('ps', '--filter', `network=${wanted}`, '--format', '{{.Names}}')).toEqual([
        container,
      ])
    expect(await out('ps', '--filter', `name=${container}`, '--format', '{{.Networks}}')).toBe(name)
  })

  test('--ip6 gives that address', async () => {
    const name = await network('--ipv6', '--subnet', 'fd00:88::/64', '--subnet', '10.217.0.0/24')
    const container = await idle('--network', name, '--ip6', 'fd00:88::77')
    const { GlobalIPv6Address, GlobalIPv6PrefixLen, IPAddress } = await endpointOf(container, name)
    expect([GlobalIPv6Address, GlobalIPv6PrefixLen]).toEqual(['fd00:88::77', 64])
    expect(IPAddress).toMatch(/^10\.217\.0\./)
    expect(await out('exec', container, 'ip', '-6', 'addr', 'show', 'eth0')).toContain('fd00:88::77/64')
  })
})

describe('docker network connect and disconnect', () => {
  test('a running container gets a second interface, and loses it', async () => {
    const [one, two] = [await network(), await network()]
    const container = await idle('--network', one)
    expect(await out('network', 'connect', two, container)).toBe('')
    expect(await networksOf(container)).toEqual([one, two].toSorted())
    const { IPAddress } = await endpointOf(container, two)
    expect(await out('exec', container, 'ip', '-4', 'addr', 'show', 'eth1')).toContain(`inet ${IPAddress}/`)
    await out('network', 'disconnect', two, container)
    expect(await networksOf(container)).toEqual([one])
    expect(await out('exec', container, 'ls', '/sys/class/net')).not.toContain('eth1')
  })

  test('what it is in it can be reached from', async () => {
    const [one, two] = [await network(), await network()]
    const container = await running(['--network', one], serve)
    await out('network', 'connect', two, container)
    const { IPAddress } = await endpointOf(container, two)
    expect(await ask(IPAddress, '--network', two)).toBe('hello from tiny')
  })

  test('a created container is in both networks when it starts', async () => {
    const [one, two] = [await network(), await network()]
    const container = containerName()
    await out('create', '--name', container, '--network', one, TINY, 'sleep', '1000')
    await out('network', 'connect', two, container)
    await out('start', container)
    expect(await networksOf(container)).toEqual([one, two].toSorted())
    expect(await out('exec', container, 'ls', '/sys/class/net')).toMatch(/eth0\s+eth1/)
  })

  test('networks stay through stop and start', async () => {
    const [one, two] = [await network(), await network()]
    const container = await idle('--network', one)
    await out('network', 'connect', two, container)
    await out('restart', '-t', '0', container)
    expect(await networksOf(container)).toEqual([one, two].toSorted())
    expect(await out('exec', container, 'ls', '/sys/class/net')).toMatch(/eth0\s+eth1/)
  })

  test('--ip, --alias and --link of connect', async () => {
    const name = await network('--subnet', '10.218.0.0/24')
    const [other, container] = [await idle('--network', name), await idle()]
    const options = ['--ip', '10.218.0.99', '--alias', 'extra', '--link', `${other}:peer`]
    await out('network', 'connect', ...options, name, container)
    const endpoint = await endpointOf(container, name)
    expect(endpoint).toMatchObject({ IPAddress: '10.218.0.99', Links: [`${other}:peer`] })
    expect(endpoint.Aliases).toContain('extra')
  })

  test('a container of the default network can be in another too, and leave the default one', async () => {
    const name = await network()
    const container = await idle()
    await out('network', 'connect', name, container)
    expect(await networksOf(container)).toEqual(['bridge', name].toSorted())
    await out('network', 'disconnect', 'bridge', container)
    expect(await networksOf(container)).toEqual([name])
    const { Gateway } = await endpointOf(container, name)
    expect(await out('exec', container, 'ip', 'route')).toContain(`default via ${Gateway} `)
  })

  test('a container can be connected to the default network', async () => {
    const name = await network()
    const container = await idle('--network', name)
    await out('network', 'connect', 'bridge', container)
    const { IPAddress } = (await inspect(container)).NetworkSettings.Networks.bridge
    expect(await out('exec', container, 'ip', '-4', 'addr')).toContain(`inet ${IPAddress}/`)
  })

  test('twice is refused', async () => {
    const name = await network()
    const container = await idle('--network', name)
    const { code, stderr } = await docker('network', 'connect', name, container)
    expect(code).toBe(1)
    expect(stderr).toContain(`endpoint with name ${container} already exists in network ${name}`)
  })

  test('disconnect of what is not connected, of no container and of no network is refused', async () => {
    const name = await network()
    const container = await idle()
    const { code, stderr } = await docker('network', 'disconnect', name, container)
    expect(code).toBe(1)
    expect(stderr).toMatch(/is not connected to (the )?network/)
    expect((await docker('network', 'disconnect', name, 'no-such-container')).stderr).toMatch(
      /No such container/i,
    )
    expect((await docker('network', 'connect', name, 'no-such-container')).stderr).toMatch(
      /No such container/i,
    )
    expect((await docker('network', 'connect', 'no-such-network', container)).stderr).toMatch(
      /network no-such-network not found/,
    )
  })

  test('the host network cannot be connected to nor left', async () => {
    const container = await idle()
    const joined = await docker('network', 'connect', 'host', container)
    expect([joined.code, joined.stderr]).toEqual([1, expect.stringContaining('host network')])
    const other = await idle('--network', 'host')
    const left = await docker('network', 'disconnect', 'host', other)
    expect([left.code, left.stderr]).toEqual([1, expect.stringContaining('host network')])
  })

  test('a container without network stays without', async () => {
    const name = await network()
    const container = await idle('--network', 'none')
    const { code, stderr } = await docker('network', 'connect', name, container)
    expect(code).toBe(1)
    expect(stderr).toContain('private (none) mode')
  })

  test('a container that shares the network of another cannot be connected', async () => {
    const name = await network()
    const container = await idle('--network', `container:${await idle()}`)
    const { code, stderr } = await docker('network', 'connect', name, container)
    expect(code).toBe(1)
    expect(stderr).toContain(
      'container sharing network namespace with another container or host cannot be connected to any other network',
    )
  })

  test('a container without any network has its loopback', async () => {
    const name = await network()
    const container = await idle('--network', name)
    await out('network', 'disconnect', name, container)
    expect(await networksOf(container)).toEqual([])
    expect(await out('exec', container, 'ls', '/sys/class/net')).toBe('lo')
  })

  test('rename shows in the network', async () => {
    const name = await network()
    const container = await idle('--network', name)
    const next = containerName()
    await out('rename', container, next)
    const [found] = Object.values((await inspect(name, 'network')).Containers) as { Name: string }[]
    expect(found?.Name).toBe(next)
  })

  test('events tell of create, connect, disconnect and destroy', async () => {
    const name = unique('n')
    const session = dockerSpawn(
      'events',
      '--filter',
      'type=network',
      '--format',
      '{{.Action}} {{.Actor.Attributes.name}}',
    )
    await until('events flow', async () => {
      const probe = await network()
      await docker('network', 'rm', probe)
      return session.stdout.includes(probe)
    })
    await out('network', 'create', name)
    const container = await idle('--network', name)
    await out('network', 'disconnect', name, container)
    await out('network', 'rm', name)
    for (const action of ['create', 'connect', 'disconnect', 'destroy'])
      await session.shows(`${action} ${name}`)
  })
})
