import { describe, expect, test } from 'vitest'
import { docker, idle, inspect, lines, out, unique } from '../support/docker.js'
import { network, networkName } from '../support/networks.js'

describe('docker network create', () => {
  test('prints the id that inspect has', async () => {
    const name = networkName()
    const id = await out('network', 'create', name)
    expect(id).toMatch(/^[0-9a-f]{64}$/)
    expect((await inspect(name, 'network')).Id).toBe(id)
    expect((await inspect(id.slice(0, 12), 'network')).Name).toBe(name)
  })

  test('a new network is a bridge of this host with a subnet and a gateway in it', async () => {
    const made = await inspect(await network(), 'network')
    expect(made).toMatchObject({
      ...{ Driver: 'bridge', Scope: 'local', Internal: false, Attachable: false, Ingress: false },
      ...{ EnableIPv6: false, ConfigOnly: false, Containers: {}, Options: {}, Labels: {} },
    })
    expect(made.IPAM.Driver).toBe('default')
    expect(made.IPAM.Config).toHaveLength(1)
    const [{ Subnet, Gateway }] = made.IPAM.Config
    expect(Subnet).toMatch(/^(172\.\d+\.0\.0\/16|192\.168\.\d+\.0\/20)$/)
    expect(Gateway).toBe(Subnet.replace(/0\/\d+$/, '1'))
    expect(Date.parse(made.Created)).toBeGreaterThan(Date.now() - 60_000)
  })

  test('two networks never have one subnet', async () => {
    const subnets = []
    for (let at = 0; at < 3; at++)
      subnets.push((await inspect(await network(), 'network')).IPAM.Config[0].Subnet)
    const all = [...subnets, (await inspect('bridge', 'network')).IPAM.Config[0].Subnet]
    expect(new Set(all).size).toBe(4)
  })

  test('a name that is taken is refused', async () => {
    const name = await network()
    const { code, stderr } = await docker('network', 'create', name)
    expect(code).toBe(1)
    expect(stderr).toContain(`network with name ${name} already exists`)
  })

  test('labels and options are kept', async () => {
    const mtu = 'com.docker.network.driver.mtu'
    const made = await inspect(
      await network('--label', 'a=1', '--label', 'b', '--opt', `${mtu}=1400`),
      'network',
    )
    expect(made.Labels).toEqual({ a: '1', b: '' })
    expect(made.Options).toEqual({ [mtu]: '1400' })
  })

  test('--subnet, --gateway, --ip-range and --aux-address are kept', async () => {
    const pool = ['--subnet', '10.201.0.0/16', '--ip-range', '10.201.5.0/24', '--gateway', '10.201.0.9']
    const made = await inspect(await network(...pool, '--aux-address', 'router=10.201.5.1'), 'network')
    expect(made.IPAM.Config).toEqual([
      {
        ...{ Subnet: '10.201.0.0/16', IPRange: '10.201.5.0/24', Gateway: '10.201.0.9' },
        AuxiliaryAddresses: { router: '10.201.5.1' },
      },
    ])
  })

  test('a subnet that another network has is refused', async () => {
    await network('--subnet', '10.202.0.0/16')
    const { code, stderr } = await docker('network', 'create', '--subnet', '10.202.3.0/24', networkName())
    expect(code).toBe(1)
    expect(stderr).toContain('Pool overlaps with other one on this address space')
  })

  test('its subnet is free again when a network is removed', async () => {
    await out('network', 'rm', await network('--subnet', '10.203.0.0/16'))
    await network('--subnet', '10.203.0.0/16')
  })

  test('a subnet that is none is refused', async () => {
    const { code, stderr } = await docker('network', 'create', '--subnet', '10.300.0.0/16', networkName())
    expect(code).toBe(1)
    expect(stderr).toMatch(/invalid CIDR|invalid subnet/i)
  })

  test('a gateway or a range outside of the subnet is refused', async () => {
    for (const option of [
      ['--gateway', '10.9.0.1'],
      ['--ip-range', '10.9.0.0/24'],
    ]) {
      const { code } = await docker(
        'network',
        'create',
        '--subnet',
        '10.204.0.0/16',
        ...option,
        networkName(),
      )
      expect(code).toBe(1)
    }
  })

  test('--internal and --attachable are kept', async () => {
    expect(await inspect(await network('--internal'), 'network')).toMatchObject({ Internal: true })
    expect(await inspect(await network('--attachable'), 'network')).toMatchObject({ Attachable: true })
  })

  test('--ipv6 with a subnet has both families', async () => {
    const made = await inspect(await network('--ipv6', '--subnet', 'fd00:77::/64'), 'network')
    expect(made.EnableIPv6).toBe(true)
    const subnets = made.IPAM.Config.map(({ Subnet }: { Subnet: string }) => Subnet)
    expect(subnets).toContain('fd00:77::/64')
    expect(subnets).toHaveLength(2)
  })

  test('a driver that is none is refused', async () => {
    const { code, stderr } = await docker('network', 'create', '-d', 'nonsense', networkName())
    expect(code).toBe(1)
    expect(stderr).toMatch(/plugin "?nonsense"? not found|could not find.*nonsense/i)
  })

  test('there is one host network only', async () => {
    const { code, stderr } = await docker('network', 'create', '-d', 'host', networkName())
    expect(code).toBe(1)
    expect(stderr).toContain('only one instance of "host" network is allowed')
  })

  test('a bridge name of its own is the name of the link', async () => {
    const link = unique('br').slice(0, 11)
    await network('--opt', `com.docker.network.bridge.name=${link}`)
    expect(await out('run', '--rm', '--network', 'host', 'tiny:1', 'ls', '/sys/class/net')).toContain(link)
  })
})

describe('docker network ls', () => {
  test('filters by name, id, label, driver, type and dangling', async () => {
    const label = unique('l')
    const [one, two] = [await network('--label', label), await network('--label', `${label}=x`)]
    const ls = async (...filters: string[]) =>
      (
        await lines(
          'network',
          'ls',
          '--format',
          '{{.Name}}',
          ...filters.flatMap((text) => ['--filter', text]),
        )
      ).toSorted()
    const { Id } = await inspect(one, 'network')
    expect(await ls(`label=${label}`)).toEqual([one, two].toSorted())
    expect(await ls(`label=${label}=x`)).toEqual([two])
    expect(await ls(`name=${one}`)).toEqual([one])
    expect(await ls(`name=${one.slice(0, -2)}`)).toContain(one)
    expect(await ls(`id=${Id.slice(0, 20)}`)).toEqual([one])
    expect(await ls(`label=${label}`, 'driver=host')).toEqual([])
    expect(await ls(`label=${label}`, 'type=custom')).toHaveLength(2)
    expect(await ls(`label=${label}`, 'type=builtin')).toEqual([])
    expect(await ls(`label=${label}`, 'scope=local')).toHaveLength(2)
    await idle('--network', one)
    // Before docker 23 the used one was listed too.
    expect(await ls(`label=${label}`, 'dangling=true')).toContain(two)
  })

  test('a filter that is none is refused', async () => {
    const { code, stderr } = await docker('network', 'ls', '--filter', 'nonsense=1')
    expect(code).toBe(1)
    expect(stderr).toMatch(/invalid filter/i)
  })

  test('--format json has id, driver and labels', async () => {
    const name = await network('--label', 'k=v')
    const shown = JSON.parse(await out('network', 'ls', '--filter', `name=${name}`, '--format', 'json'))
    expect(shown).toMatchObject({ Name: name, Driver: 'bridge', Scope: 'local', Labels: 'k=v' })
  })
})

describe('docker network rm and prune', () => {
  test('rm prints the name; then it is gone', async () => {
    const name = await network()
    expect(await out('network', 'rm', name)).toBe(name)
    const { code, stderr } = await docker('network', 'inspect', name)
    expect(code).toBe(1)
    expect(stderr).toMatch(new RegExp(`network ${name} not found|No such network: ${name}`, 'i'))
  })

  test('rm by the beginning of the id', async () => {
    const { Id } = await inspect(await network(), 'network')
    expect(await out('network', 'rm', Id.slice(0, 12))).toBe(Id.slice(0, 12))
  })

  test('one that a running container is in is not removed, one of a stopped container is', async () => {
    const name = await network()
    const container = await idle('--network', name)
    const refused = await docker('network', 'rm', name)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('has active endpoints')
    await out('kill', container)
    expect(await out('network', 'rm', name)).toBe(name)
    const started = await docker('start', container)
    expect(started.code).toBe(1)
    expect(started.stderr).toMatch(/network .* not found/)
  })

  test('rm of several goes on after one that is not there', async () => {
    const name = await network()
    const { code, stdout } = await docker('network', 'rm', 'no-such-network', name)
    expect(code).toBe(1)
    expect(stdout.trim()).toBe(name)
  })

  test('rm -f of one that is not there is no failure', async () => {
    expect((await docker('network', 'rm', '-f', 'no-such-network')).code).toBe(0)
  })

  test('prune removes what no container has, narrowed by label', async () => {
    const label = unique('l')
    const [used, unused, other] = [
      await network('--label', label),
      await network('--label', label),
      await network(),
    ]
    await idle('--network', used)
    expect(await out('network', 'prune', '-f', '--filter', `label=${label}`)).toBe(
      `Deleted Networks:\n${unused}\n`,
    )
    const names = await lines('network', 'ls', '--format', '{{.Name}}')
    expect(names).toEqual(expect.arrayContaining([used, other]))
    expect(names).not.toContain(unused)
  })

  test('prune with until leaves the younger ones', async () => {
    const label = unique('l')
    const name = await network('--label', label)
    expect(await out('network', 'prune', '-f', '--filter', `label=${label}`, '--filter', 'until=1h')).toBe('')
    expect((await docker('network', 'inspect', name)).code).toBe(0)
  })
})
