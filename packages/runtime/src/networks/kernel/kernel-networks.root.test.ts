import { existsSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  askFrom,
  askFromHost,
  askUdpFrom,
  HOST,
  ip,
  NEIGHBOUR,
  type NetworkLab,
  nft,
  openNetworkLab,
  pings,
  publication,
} from '../../testing/network-lab.js'

let lab: NetworkLab
beforeEach(async () => {
  lab = await openNetworkLab()
})
afterEach(() => lab?.end())

/** Lets the neighbour send packets for the address to this host, as a hostile or misconfigured one may. */
const routeToHost = (subnet: string) => lab.neighbour.run('ip', 'route', 'replace', subnet, 'via', HOST.ipv4)

/** br_netfilter, where the kernel has it: bridged packets pass the packet rules too. */
const filterBridged = (value: string): void => {
  const path = '/proc/sys/net/bridge/bridge-nf-call-iptables'
  if (existsSync(path)) writeFileSync(path, value)
}

const hardwareAddress = (name: string) => /link\/ether (\S+)/.exec(ip('-o', 'link', 'show', name))?.[1]

describe('a network', () => {
  test('its containers reach each other, their host and what is beyond, in IPv4 and IPv6', async () => {
    const red = lab.network(1)
    const { container: one } = await lab.plug(red, 2)
    const { container: two } = await lab.plug(red, 3)
    await lab.serve(one, 80)
    await lab.serve(lab.neighbour, 80)
    lab.neighbour.run('ip', '-6', 'route', 'add', 'default', 'via', HOST.ipv6)
    expect(askFrom(two, '10.200.1.2', 80)).toBe('10.200.1.3')
    expect(askFrom(two, 'fd00:1::2', 80)).toBe('fd00:1::3')
    expect(pings(two, '10.200.1.1')).toBe(true)
    // Under the host's address: masqueraded.
    expect(askFrom(two, NEIGHBOUR.ipv4, 80)).toBe(HOST.ipv4)
    expect(askFrom(two, NEIGHBOUR.ipv6, 80)).toBe(HOST.ipv6)
  })

  test('an IPv6 address works at once, and no router is listened to', async () => {
    const { container } = await lab.plug(lab.network(1), 2)
    expect(container.run('ip', '-6', 'addr', 'show', 'eth0')).not.toContain('tentative')
    expect(container.run('cat', '/proc/sys/net/ipv6/conf/eth0/accept_ra')).toBe('0\n')
    expect(pings(container, 'fd00:1::1')).toBe(true)
  })

  test('without IPv6 there is none at all, no link-local address either', async () => {
    const plain = lab.network(1, {
      addresses: [{ ip: '10.200.1.1', prefix: 24 }],
      subnets: ['10.200.1.0/24'],
    })
    const { container } = await lab.plug(plain, 2)
    expect(container.run('ip', '-6', 'addr', 'show', 'eth0')).toBe('')
    expect(ip('-6', 'addr', 'show', 'br-lab1')).toBe('')
  })

  test('has the MTU and its containers the hardware address that were asked for', async () => {
    const { container } = await lab.plug(lab.network(1, { mtu: 1400 }), 2, {
      macAddress: '02:42:00:00:00:07',
    })
    expect(container.run('ip', 'link', 'show', 'eth0')).toMatch(/mtu 1400[\s\S]*02:42:00:00:00:07/)
    expect(ip('link', 'show', 'br-lab1')).toContain('mtu 1400')
  })

  test('keeps its hardware address whoever comes and goes, so nobody inside sends to one that is gone', async () => {
    const red = lab.network(1)
    await lab.kernel.ensure(red)
    const before = hardwareAddress('br-lab1')
    const { container } = await lab.plug(red, 2)
    expect(hardwareAddress('br-lab1')).toBe(before)
    ip('link', 'add', 'low', 'address', '02:00:00:00:00:01', 'type', 'veth', 'peer', 'name', 'low-peer')
    ip('link', 'set', 'low', 'master', 'br-lab1')
    expect(hardwareAddress('br-lab1')).toBe(before)
    expect(pings(container, '10.200.1.1')).toBe(true)
    ip('link', 'del', 'low')
    expect(hardwareAddress('br-lab1')).toBe(before)
  })

  test('of an earlier release, which followed its ports, keeps the one it has', async () => {
    ip('link', 'add', 'br-lab1', 'type', 'bridge')
    const before = hardwareAddress('br-lab1')
    await lab.plug(lab.network(1), 2)
    expect(hardwareAddress('br-lab1')).toBe(before)
  })

  test('everything may be said twice', async () => {
    const red = lab.network(1)
    const { container, plug } = await lab.plug(red, 2)
    const before = container.run('ip', '-o', 'addr')
    await lab.kernel.ensure(red)
    await lab.kernel.plugIn(plug)
    expect(container.run('ip', '-o', 'addr')).toBe(before)
    await lab.kernel.unplug(plug)
    await lab.kernel.unplug(plug)
    await lab.kernel.remove(red)
    await lab.kernel.remove(red)
    await lab.kernel.removeRules()
    await lab.kernel.removeRules()
    expect(ip('-o', 'link')).not.toContain('br-lab1')
    expect(nft('list', 'ruleset')).toBe('')
  })

  test('half of it, as a process that was killed leaves it, is made whole', async () => {
    ip('link', 'add', 'br-lab1', 'type', 'bridge')
    const red = lab.network(1)
    const half = await lab.bare()
    ip('link', 'add', 'c1', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', `${half.pid}`)
    nft('add', 'table', 'inet', 'lab')
    const plug = {
      ...{
        network: red,
        pid: half.pid,
        cable: 'c1',
        interfaceName: 'eth0',
        macAddress: undefined,
        hasPorts: false,
      },
      addresses: [{ ip: '10.200.1.2', prefix: 24 }],
      gateways: ['10.200.1.1'],
    }
    await lab.kernel.plugIn(plug)
    expect(pings(half, '10.200.1.1')).toBe(true)
    expect(pings(half, NEIGHBOUR.ipv4)).toBe(true)
    expect(nft('list', 'table', 'inet', 'lab')).toContain('br-lab1')
  })

  test('a cable of an earlier run in the way is replaced', async () => {
    const red = lab.network(1)
    await lab.kernel.ensure(red)
    ip('link', 'add', 'stale', 'type', 'veth', 'peer', 'name', 'other')
    const { container } = await lab.plug(red, 2, { cable: 'stale' })
    expect(pings(container, '10.200.1.1')).toBe(true)
  })

  test('an address that a running container has there is refused to another, and free when that ended', async () => {
    const red = lab.network(1)
    const { container } = await lab.plug(red, 2)
    await expect(lab.plug(red, 2)).rejects.toMatchObject({ code: 'network.address_taken' })
    await container.end()
    const { container: heir } = await lab.plug(red, 2)
    expect(pings(heir, '10.200.1.1')).toBe(true)
  })

  test('an interface of that name which is no bridge is refused clearly', async () => {
    ip('link', 'add', 'br-lab1', 'type', 'veth', 'peer', 'name', 'other')
    await expect(lab.kernel.ensure(lab.network(1))).rejects.toMatchObject({ code: 'network.link_taken' })
  })
})

describe('a container in several networks', () => {
  test('is plugged in while it runs, with default routes as told, and unplugged', async () => {
    const [red, blue] = [lab.network(1), lab.network(2)]
    const { container, plug } = await lab.plug(red, 2)
    const second = {
      ...plug,
      network: blue,
      cable: 'second',
      interfaceName: 'eth1',
      addresses: [{ ip: '10.200.2.2', prefix: 24 }],
      gateways: [],
    }
    await lab.kernel.plugIn(second)
    const routes = () => container.run('ip', 'route', 'show', 'default').trim()
    expect(routes()).toBe('default via 10.200.1.1 dev eth0')
    await lab.kernel.setGateways(container.pid, [
      { interfaceName: 'eth1', gateway: '10.200.2.1' },
      { interfaceName: 'eth0', gateway: 'fd00:1::1' },
    ])
    expect(routes()).toBe('default via 10.200.2.1 dev eth1')
    expect(container.run('ip', '-6', 'route', 'show', 'default')).toContain('via fd00:1::1 dev eth0')
    expect(pings(container, '10.200.2.1')).toBe(true)
    await lab.kernel.unplug(second)
    await lab.kernel.setGateways(container.pid, [])
    expect(container.run('ip', '-o', 'link')).not.toContain('eth1')
    expect(routes()).toBe('')
  })
})

describe('isolation', () => {
  test('two networks do not reach each other, neither directly nor by the other’s gateway', async () => {
    const { container: red } = await lab.plug(lab.network(1), 2)
    const { container: blue } = await lab.plug(lab.network(2), 2)
    await lab.serve(blue, 80)
    for (const address of ['10.200.2.2', 'fd00:2::2']) {
      expect(pings(red, address)).toBe(false)
      expect(askFrom(red, address, 80)).toBe('')
    }
    // The rules are what holds them apart.
    nft('flush', 'ruleset')
    expect(pings(red, '10.200.2.2')).toBe(true)
  })

  test('an internal network reaches its own, and neither out nor the host’s other addresses; nobody gets in', async () => {
    const inner = lab.network(1, { isInternal: true })
    const { container: one, plug } = await lab.plug(inner, 2)
    const { container: two } = await lab.plug(inner, 3)
    const { container: outer } = await lab.plug(lab.network(2), 2)
    await lab.kernel.setRules({ networks: [inner], endpoints: [publication(plug, 8080)] })
    await lab.serve(one, 80)
    routeToHost('10.200.1.0/24')
    expect(askFrom(two, '10.200.1.2', 80)).toBe('10.200.1.3')
    expect(pings(two, '10.200.1.1')).toBe(true)
    for (const address of [HOST.ipv4, NEIGHBOUR.ipv4, '10.200.2.1', '10.200.2.2', HOST.ipv6, NEIGHBOUR.ipv6])
      expect([address, pings(two, address)]).toEqual([address, false])
    for (const other of [outer, lab.neighbour]) expect(pings(other, '10.200.1.2')).toBe(false)
    expect(askFrom(lab.neighbour, HOST.ipv4, 8080)).toBe('')
  })

  test('with icc off containers reach the host and beyond, and each other only by published ports', async () => {
    filterBridged('0')
    const shy = lab.network(1, { isIccAllowed: false })
    const { container: one, plug } = await lab.plug(shy, 2)
    const { container: two } = await lab.plug(shy, 3)
    await lab.serve(one, 80)
    await lab.kernel.setRules({ networks: [shy], endpoints: [publication(plug, 8080)] })
    expect(pings(two, '10.200.1.2')).toBe(false)
    expect(pings(two, NEIGHBOUR.ipv4)).toBe(true)
    expect(askFrom(two, HOST.ipv4, 8080)).toBe('10.200.1.1')
    // Also while there are no rules: it is the bridge that holds them apart.
    nft('flush', 'ruleset')
    expect(pings(two, '10.200.1.2')).toBe(false)
    await lab.kernel.setRules({ networks: [shy], endpoints: [] })
    // Nor through the gateway, asked to pass it on.
    two.run('ip', 'route', 'add', '10.200.1.2', 'via', '10.200.1.1')
    expect(pings(two, '10.200.1.2')).toBe(false)
  })

  test('E7: a neighbour that routes to this host reaches no container’s own address', async () => {
    const { container } = await lab.plug(lab.network(1), 2)
    await lab.serve(container, 80)
    routeToHost('10.200.1.0/24')
    lab.neighbour.run('ip', '-6', 'route', 'add', 'fd00:1::/64', 'via', HOST.ipv6)
    expect(askFrom(lab.neighbour, '10.200.1.2', 80)).toBe('')
    expect(pings(lab.neighbour, '10.200.1.2')).toBe(false)
    expect(pings(lab.neighbour, 'fd00:1::2')).toBe(false)
  })
})

describe('a published port', () => {
  test('shows its container the address of a client outside, in IPv4 and IPv6', async () => {
    const { container, plug } = await lab.plug(lab.network(1), 2)
    await lab.serve(container, 80)
    await lab.kernel.setRules({
      networks: [],
      endpoints: [publication(plug, 8080), publication(plug, 8080, { ip: 'fd00:1::2' })],
    })
    expect(askFrom(lab.neighbour, HOST.ipv4, 8080)).toBe(NEIGHBOUR.ipv4)
    expect(askFrom(lab.neighbour, HOST.ipv6, 8080)).toBe(NEIGHBOUR.ipv6)
    expect(await askFromHost(HOST.ipv4, 8080)).toBe(HOST.ipv4)
    expect(await askFromHost(HOST.ipv6, 8080)).toBe(HOST.ipv6)
  })

  test.each([
    ['0', 'pass'],
    ['1', 'are filtered'],
  ])(
    'is reached from the host’s loopback, its own container (hairpin), neighbours and other networks where bridged packets %s (%s)',
    async (value) => {
      filterBridged(value)
      const red = lab.network(1)
      const { container: one, plug } = await lab.plug(red, 2)
      const { container: two } = await lab.plug(red, 3)
      const { container: blue } = await lab.plug(lab.network(2), 2)
      await lab.serve(one, 80)
      await lab.kernel.setRules({ networks: [red], endpoints: [publication(plug, 8080)] })
      expect(await askFromHost('127.0.0.1', 8080)).toBe('10.200.1.1')
      expect(askFrom(one, HOST.ipv4, 8080)).toBe('10.200.1.1')
      expect(askFrom(two, HOST.ipv4, 8080)).toBe('10.200.1.1')
      expect(askFrom(two, '10.200.1.1', 8080)).toBe('10.200.1.1')
      expect(askFrom(blue, HOST.ipv4, 8080)).not.toBe('')
    },
  )

  test('of IPv6 is reached by hairpin too, and refused on ::1 at once, so that clients try 127.0.0.1', async () => {
    const { container, plug } = await lab.plug(lab.network(1), 2)
    await lab.serve(container, 80)
    await lab.kernel.setRules({
      networks: [],
      endpoints: [publication(plug, 8080, { ip: 'fd00:1::2' })],
    })
    expect(askFrom(container, HOST.ipv6, 8080)).toBe('fd00:1::1')
    const started = performance.now()
    expect(await askFromHost('::1', 8080)).toBe('')
    expect(performance.now() - started).toBeLessThan(500)
  })

  test('E7: of 127.0.0.1 is not reached by a neighbour on the wire that sends packets for 127.0.0.1', async () => {
    const { container, plug } = await lab.plug(lab.network(1), 2)
    const { container: other } = await lab.plug(lab.network(1), 3)
    await lab.serve(container, 80)
    await lab.kernel.setRules({
      networks: [],
      endpoints: [publication(plug, 8080, { hostIp: '127.0.0.1' })],
    })
    for (const { run } of [lab.neighbour, other]) {
      run('ip', 'addr', 'del', '127.0.0.1/8', 'dev', 'lo')
      run('sh', '-c', 'for f in /proc/sys/net/ipv4/conf/*/route_localnet; do echo 1 > $f; done')
    }
    lab.neighbour.run('ip', 'route', 'add', '127.0.0.0/8', 'via', HOST.ipv4, 'src', NEIGHBOUR.ipv4)
    other.run('ip', 'route', 'add', '127.0.0.0/8', 'via', '10.200.1.1', 'src', '10.200.1.3')
    expect(askFrom(lab.neighbour, '127.0.0.1', 8080)).toBe('')
    expect(askFrom(other, '127.0.0.1', 8080)).toBe('')
    expect(askFrom(lab.neighbour, HOST.ipv4, 8080)).toBe('')
    expect(await askFromHost('127.0.0.1', 8080)).toBe('10.200.1.1')
    nft('delete', 'chain', 'inet', 'lab', 'guard')
    expect(askFrom(lab.neighbour, '127.0.0.1', 8080)).not.toBe('')
  })

  test('E6: of one of the host’s addresses is not reached by another', async () => {
    ip('addr', 'add', '192.0.2.9/24', 'dev', 'wan0')
    const { container, plug } = await lab.plug(lab.network(1), 2)
    await lab.serve(container, 80)
    await lab.kernel.setRules({
      networks: [],
      endpoints: [publication(plug, 8080, { hostIp: '192.0.2.9' })],
    })
    expect(askFrom(lab.neighbour, '192.0.2.9', 8080)).toBe(NEIGHBOUR.ipv4)
    expect(askFrom(lab.neighbour, HOST.ipv4, 8080)).toBe('')
  })

  test('opens nothing that the host’s firewall closes, whether it comes before or after', async () => {
    const { container, plug } = await lab.plug(lab.network(1), 2)
    await lab.serve(container, 80)
    await lab.kernel.setRules({ networks: [], endpoints: [publication(plug, 8080)] })
    for (const priority of [-10, 10]) {
      nft(`table inet firewall { chain f { type filter hook forward priority ${priority}; policy drop; }; }`)
      expect([priority, askFrom(lab.neighbour, HOST.ipv4, 8080)]).toEqual([priority, ''])
      nft('delete', 'table', 'inet', 'firewall')
    }
    expect(askFrom(lab.neighbour, HOST.ipv4, 8080)).toBe(NEIGHBOUR.ipv4)
  })

  test('udp leads there too, and is gone with its rule', async () => {
    const { container, plug } = await lab.plug(lab.network(1), 2)
    await lab.serve(container, 80)
    await lab.kernel.setRules({ networks: [], endpoints: [publication(plug, 8080, { protocol: 'udp' })] })
    expect(askUdpFrom(lab.neighbour, HOST.ipv4, 8080)).toBe(NEIGHBOUR.ipv4)
    await lab.kernel.setRules({ networks: [], endpoints: [] })
    expect(askUdpFrom(lab.neighbour, HOST.ipv4, 8080)).toBe('')
  })
})
