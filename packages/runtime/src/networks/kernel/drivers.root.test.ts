import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { HOST, ip, NEIGHBOUR, type NetworkLab, openNetworkLab, pings } from '../../testing/network-lab.js'
import type { HostNetwork, Plug } from '../host-view.js'
import { KernelNetworks } from './kernel-networks.exec.js'

let lab: NetworkLab
let dir: string
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'drivers-'))
  lab = await openNetworkLab()
})
afterEach(async () => {
  await lab?.end()
  rmSync(dir, { recursive: true })
})

describe('macvlan', () => {
  const onWire = (change: Partial<HostNetwork> = {}) =>
    lab.network(9, { driver: 'macvlan', link: 'wan0', addresses: [], ...change })
  const at = (host: number): Partial<Plug> => ({
    addresses: [{ ip: `192.0.2.${host}`, prefix: 24 }],
    gateways: [NEIGHBOUR.ipv4],
  })

  test('puts containers on the parent’s wire, with their own hardware address and no host between', async () => {
    const network = onWire()
    await lab.kernel.ensure(network)
    const { container: one } = await lab.plug(network, 0, { ...at(50), macAddress: '02:42:00:00:00:50' })
    const { container: two, plug } = await lab.plug(network, 0, at(51))
    expect(pings(one, NEIGHBOUR.ipv4)).toBe(true)
    expect(pings(one, '192.0.2.51')).toBe(true)
    expect(lab.neighbour.run('ip', 'neigh')).toContain('02:42:00:00:00:50')
    // As docker: the host does not hear its own macvlan interfaces.
    expect(pings(one, HOST.ipv4)).toBe(false)
    await lab.kernel.plugIn(plug)
    await lab.kernel.unplug(plug)
    await lab.kernel.unplug(plug)
    expect(two.run('ip', '-o', 'link')).not.toContain('eth0')
  })

  test('in private mode keeps them apart', async () => {
    const network = onWire({ options: { macvlan_mode: 'private' } })
    const { container: one } = await lab.plug(network, 0, at(50))
    await lab.plug(network, 0, at(51))
    expect(pings(one, NEIGHBOUR.ipv4)).toBe(true)
    expect(pings(one, '192.0.2.51')).toBe(false)
  })

  test('without its parent, or in a mode there is not, is refused clearly', async () => {
    await expect(lab.kernel.ensure(onWire({ link: 'wan7' }))).rejects.toMatchObject({
      code: 'network.parent_missing',
    })
    await expect(lab.kernel.ensure(onWire({ options: { macvlan_mode: 'open' } }))).rejects.toMatchObject({
      code: 'network.macvlan_mode',
    })
  })
})

describe('cni', () => {
  const leases = () => readdirSync(join(dir, 'lab')).filter((name) => name.startsWith('10.'))
  const conflist = (...more: readonly object[]) =>
    JSON.stringify({
      cniVersion: '1.0.0',
      name: 'lab',
      plugins: [
        {
          type: 'bridge',
          bridge: 'cni-lab',
          isGateway: true,
          ipam: {
            type: 'host-local',
            dataDir: dir,
            ranges: [[{ subnet: '10.203.0.0/24' }]],
            routes: [{ dst: '0.0.0.0/0' }],
          },
        },
        ...more,
      ],
    })
  const network = (text: string) =>
    lab.network(9, { driver: 'cni', link: '', addresses: [], subnets: [], options: { conflist: text } })
  const kernelWith = () =>
    new KernelNetworks({
      table: 'lab',
      cni: { path: `${dir}/plugins:/usr/lib/cni`, resultsDir: `${dir}/results` },
    })
  const bare = { cable: 'c1', interfaceName: 'eth0', addresses: [], macAddress: undefined, gateways: [] }

  test('adds, checks and removes by plugins, and says what they gave, after a restart too', async () => {
    const kernel = kernelWith()
    const container = await lab.bare()
    const plug = {
      ...bare,
      network: network(conflist({ type: 'tuning', mtu: 1400 })),
      pid: container.pid,
      hasPorts: false,
    }
    await kernel.ensure(plug.network)
    await kernel.plugIn(plug)
    expect(container.run('ip', 'link', 'show', 'eth0')).toContain('mtu 1400')
    expect(pings(container, '10.203.0.1')).toBe(true)
    const gift = kernel.giftOf(plug)
    expect(gift).toMatchObject({ addresses: [{ ip: '10.203.0.2', prefix: 24 }], gateways: ['10.203.0.1'] })

    const later = kernelWith()
    expect(later.giftOf(plug)).toEqual(gift)
    await later.plugIn(plug)
    expect(leases()).toEqual(['10.203.0.2'])
    // Somebody took the interface away: the check fails, so it is made anew.
    container.run('ip', 'link', 'del', 'eth0')
    await later.plugIn(plug)
    expect(pings(container, '10.203.0.1')).toBe(true)

    await container.end()
    await later.unplug(plug)
    await later.unplug(plug)
    expect(leases()).toEqual([])
    expect(readdirSync(`${dir}/results`)).toEqual([])
    expect(later.giftOf(plug)).toBeUndefined()
  })

  test('a plugin that fails is one clear error and leaves nothing', async () => {
    mkdirSync(`${dir}/plugins`)
    const script = `#!/bin/sh\ncat > /dev/null\n[ "$CNI_COMMAND" = ADD ] || exit 0\necho '{"cniVersion":"1.0.0","code":100,"msg":"no such wish","details":"of mine"}'\nexit 1\n`
    writeFileSync(`${dir}/plugins/picky`, script)
    chmodSync(`${dir}/plugins/picky`, 0o755)
    const container = await lab.bare()
    const plug = {
      ...bare,
      network: network(conflist({ type: 'picky' })),
      pid: container.pid,
      hasPorts: false,
    }
    const kernel = kernelWith()
    await expect(kernel.plugIn(plug)).rejects.toMatchObject({
      code: 'network.cni_failed',
      message: 'the CNI plugin picky failed to ADD eth0 of c1: no such wish (of mine)',
    })
    expect(container.run('ip', '-o', 'link')).not.toContain('eth0')
    expect(ip('-o', 'link')).not.toContain('veth')
    expect(leases()).toEqual([])
    expect(kernel.giftOf(plug)).toBeUndefined()
  })

  test('a plugin that is not there is found out before anything is made', async () => {
    const absent = network(conflist({ type: 'absent' }))
    await expect(kernelWith().ensure(absent)).rejects.toMatchObject({ code: 'network.cni_plugin_missing' })
  })
})
