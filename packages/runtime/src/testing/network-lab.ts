import { execFileSync } from 'node:child_process'
import { connect } from 'node:net'
import type { HostNetwork, Plug, RulesView } from '../networks/host-view.js'
import { KernelNetworks } from '../networks/kernel/kernel-networks.exec.js'
import { type BareContainer, bareContainer, bareContainers, enterOwnNetwork } from './own-network.js'
import { until } from './until.js'

/** The address of the host, and that of its neighbour, on the wire outside. */
export const HOST = { ipv4: '192.0.2.1', ipv6: '2001:db8::1' }
export const NEIGHBOUR = { ipv4: '192.0.2.2', ipv6: '2001:db8::2' }

export const TABLE = 'lab'

/** Answers each connection and datagram with the address it came from. */
const SERVER = (port: number) => `
  const text = (address) => address.replace('::ffff:', '') + '\\n'
  require('net').createServer((s) => s.on('error', () => {}).end(text(s.remoteAddress))).listen({ port: ${port}, host: '::' })
  const udp = require('dgram').createSocket('udp6')
  udp.on('message', (_, from) => udp.send(text(from.address), from.port, from.address)).bind(${port}, '::')`

/** Sends one datagram and prints the answer. */
const UDP_CLIENT = (address: string, port: number) => `
  const udp = require('dgram').createSocket('udp4')
  udp.on('message', (text) => { process.stdout.write(text); udp.close() }).send('hi', ${port}, '${address}')
  setTimeout(() => process.exit(), 1000)`

/** A host that is a network namespace: this thread's, with a neighbour on its wire and containers that are bare namespaces. */
export interface NetworkLab {
  readonly kernel: KernelNetworks
  readonly neighbour: BareContainer
  /** Number N makes 10.200.N.0/24, with IPv6 fd00:N::/64. */
  network(number: number, change?: Partial<HostNetwork>): HostNetwork
  /** A container in the network, with the host number HOST of each subnet. */
  plug(
    network: HostNetwork,
    host: number,
    change?: Partial<Plug>,
  ): Promise<{ container: BareContainer; plug: Plug }>
  bare(): Promise<BareContainer>
  /** Many containers in an IPv4 network 10.201.0.0/16, from 10.201.1.0 on. */
  crowd(count: number): Promise<readonly { readonly container: BareContainer; readonly plug: Plug }[]>
  /** Starts the server that tells callers their address, and waits for it. */
  serve(container: BareContainer, port: number): Promise<void>
  end(): Promise<void>
}

export async function openNetworkLab(): Promise<NetworkLab> {
  const leave = enterOwnNetwork()
  const containers: BareContainer[] = []
  const bare = async () => {
    const container = await bareContainer()
    containers.push(container)
    return container
  }
  const neighbour = await bare()
  wire(neighbour)
  await until('the wire is up at both ends', () =>
    neighbour.run('ip', 'link', 'show', 'lan0').includes(' state UP '),
  )
  const kernel = new KernelNetworks({ table: TABLE })
  let cables = 0
  return {
    kernel,
    neighbour,
    bare,
    network: labNetwork,
    plug: async (network, host, change = {}) => {
      const container = await bare()
      const plug = plugOf(network, host, container.pid, `c${++cables}`, change)
      await kernel.plugIn(plug)
      return { container, plug }
    },
    crowd: async (count) => {
      const crowd = await bareContainers(count)
      if (crowd[0]) containers.push(crowd[0])
      const plugs = crowd.map((container, index) => ({ container, plug: crowdPlug(container.pid, index) }))
      for (const { plug } of plugs) await kernel.plugIn(plug)
      return plugs
    },
    serve: async (container, port) => {
      container.start(process.execPath, '-e', SERVER(port))
      await until(`a server on ${port}`, () => container.run('ss', '-ltnH', `sport = :${port}`) !== '')
    },
    end: async () => {
      await Promise.all(containers.map((container) => container.end()))
      leave()
    },
  }
}

export const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' })
export const nft = (...args: string[]): string => execFileSync('nft', args, { encoding: 'utf8' })

function wire(neighbour: BareContainer): void {
  ip('link', 'add', 'wan0', 'type', 'veth', 'peer', 'name', 'lan0', 'netns', `${neighbour.pid}`)
  // Link-local addresses work at once.
  const noDad = (link: string) => `echo 0 > /proc/sys/net/ipv6/conf/${link}/accept_dad`
  execFileSync('sh', ['-c', noDad('wan0')])
  neighbour.run('sh', '-c', noDad('lan0'))
  ip('addr', 'add', `${HOST.ipv4}/24`, 'dev', 'wan0')
  ip('addr', 'add', `${HOST.ipv6}/64`, 'dev', 'wan0', 'nodad')
  ip('link', 'set', 'wan0', 'up')
  neighbour.run('ip', 'addr', 'add', `${NEIGHBOUR.ipv4}/24`, 'dev', 'lan0')
  neighbour.run('ip', 'addr', 'add', `${NEIGHBOUR.ipv6}/64`, 'dev', 'lan0', 'nodad')
  neighbour.run('ip', 'link', 'set', 'lan0', 'up')
  neighbour.run('ip', 'link', 'set', 'lo', 'up')
}

const labNetwork = (number: number, change: Partial<HostNetwork> = {}): HostNetwork => ({
  id: `${number}`.padStart(12, 'a'),
  driver: 'bridge',
  link: `br-lab${number}`,
  addresses: [
    { ip: `10.200.${number}.1`, prefix: 24 },
    { ip: `fd00:${number}::1`, prefix: 64 },
  ],
  subnets: [`10.200.${number}.0/24`, `fd00:${number}::/64`],
  mtu: undefined,
  isInternal: false,
  isIccAllowed: true,
  isMasqueraded: true,
  options: {},
  ...change,
})

const plugOf = (
  network: HostNetwork,
  host: number,
  pid: number,
  cable: string,
  change: Partial<Plug>,
): Plug => ({
  network,
  pid,
  cable,
  interfaceName: 'eth0',
  addresses: network.addresses.map(({ ip: gateway, prefix }) => ({
    ip: gateway.replace(/1$/, gateway.includes(':') ? host.toString(16) : `${host}`),
    prefix,
  })),
  macAddress: undefined,
  gateways: network.addresses.map(({ ip: gateway }) => gateway),
  hasPorts: true,
  ...change,
})

const CROWDED: HostNetwork = {
  ...labNetwork(0),
  id: 'crowd',
  link: 'br-crowd',
  addresses: [{ ip: '10.201.0.1', prefix: 16 }],
  subnets: ['10.201.0.0/16'],
}
const crowdPlug = (pid: number, index: number): Plug => ({
  ...plugOf(CROWDED, 0, pid, `k${index}`, {}),
  addresses: [{ ip: `10.201.${1 + (index >> 8)}.${index & 255}`, prefix: 16 }],
})

export const publication = (
  plug: Plug,
  hostPort: number,
  change: Partial<RulesView['endpoints'][number]> = {},
): RulesView['endpoints'][number] => ({
  protocol: 'tcp',
  hostIp: undefined,
  hostPort,
  ip: plug.addresses[0]?.ip ?? '',
  containerPort: 80,
  networkId: plug.network.id,
  ...change,
})

/** What a server answers one that asks from inside a container; empty when nobody does within a second. */
export function askFrom(container: BareContainer, address: string, port: number): string {
  try {
    return container.run('busybox', 'nc', '-w', '1', address, `${port}`).trim()
  } catch {
    return ''
  }
}

export const askUdpFrom = (container: BareContainer, address: string, port: number): string =>
  container.run(process.execPath, '-e', UDP_CLIENT(address, port)).trim()

/** The same from this thread: from the host. */
export const askFromHost = (address: string, port: number): Promise<string> =>
  new Promise((resolve) => {
    let text = ''
    const socket = connect({ host: address, port })
    const end = () => {
      socket.destroy()
      resolve(text.trim())
    }
    socket.setTimeout(1_000, end)
    socket.on('data', (data) => {
      text += data
    })
    socket.on('error', end)
    socket.on('close', end)
  })

export const pings = (container: BareContainer, address: string): boolean => {
  try {
    container.run('busybox', 'ping', '-c', '1', '-W', '1', address)
    return true
  } catch {
    return false
  }
}
