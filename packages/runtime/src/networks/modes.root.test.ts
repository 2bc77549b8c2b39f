import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readdirSync, readlinkSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { ContainerInfo, ContainerSpec, PortMapping } from '../api.js'
import { buildTinyImage, openTestRuntime, type TestRuntime, until } from '../testing/index.js'
import { processesOf } from '../testing/leftovers.js'

let host: TestRuntime
beforeAll(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime)
})
afterAll(() => host?.dispose())
afterEach(async () => {
  const { containers } = host.runtime
  for (const { id } of await containers.list()) await containers.remove(id, { force: true })
})

const HTTP = 8080
const WEB = 'mkdir -p /www; echo $NAME > /www/index.html; exec httpd -f -p 8080 -h /www'
const web = (name: string, port: Partial<PortMapping> = {}): ContainerSpec => ({
  name,
  image: 'tiny:1',
  command: ['sh', '-c', WEB],
  env: [`NAME=${name}`],
  ports: [{ protocol: 'tcp', containerPort: HTTP, hostPort: 0, ...port }],
})
const idle = (change: Partial<ContainerSpec>): ContainerSpec => ({
  name: 'idle',
  image: 'tiny:1',
  command: ['sleep', '1000'],
  ...change,
})

async function start(spec: ContainerSpec): Promise<ContainerInfo> {
  const { id } = await host.runtime.containers.create(spec)
  return host.runtime.containers.start(id)
}
const hostPort = (container: ContainerInfo): number => container.ports[0]?.hostPort ?? 0
const namespaceOf = (pid: number | undefined): string => readlinkSync(`/proc/${pid}/ns/net`)
const inside = (pid: number | undefined, ...command: readonly string[]): string =>
  execFileSync('nsenter', [`--net=/proc/${pid}/ns/net`, '--', ...command], { encoding: 'utf8' })
const gatewayOf = (container: ContainerInfo): string => (container.ipAddress ?? '').replace(/\d+$/, '1')

async function linesOf(script: string, rest: Partial<ContainerSpec> = {}): Promise<readonly string[]> {
  const { containers } = host.runtime
  const { id } = await start({ name: 'script', image: 'tiny:1', command: ['sh', '-c', script], ...rest })
  await containers.wait(id)
  const lines: string[] = []
  for await (const entry of containers.logs(id)) lines.push(entry.line)
  await containers.remove(id)
  return lines
}

describe('network modes', () => {
  test('bridge: an interface with address, route and a hardware address that names the address; loopback is up', async () => {
    const container = await start(idle({}))
    expect(namespaceOf(container.pid)).not.toBe(namespaceOf(process.pid))
    const links = inside(container.pid, 'ip', '-o', 'addr')
    expect(links).toContain(` inet ${container.ipAddress}/24 `)
    expect(links).toContain(' inet 127.0.0.1/8 ')
    expect(inside(container.pid, 'ip', 'route')).toContain(`default via ${gatewayOf(container)} dev eth0`)
    expect(inside(container.pid, 'ip', 'link', 'show', 'eth0')).toContain(
      `link/ether ${container.macAddress} `,
    )
    const octets = (container.ipAddress ?? '')
      .split('.')
      .map((octet) => Number(octet).toString(16).padStart(2, '0'))
    expect(container.macAddress).toBe(`02:42:${octets.join(':')}`)
  })

  test('bridge with a hardware address of one’s own, after a restart too', async () => {
    const macAddress = '92:D0:C6:0A:29:33'
    const first = await start(idle({ macAddress }))
    await host.runtime.containers.stop(first.id, { timeoutMs: 0 })
    const container = await host.runtime.containers.start(first.id)
    expect(container.macAddress).toBe(macAddress.toLowerCase())
    expect(inside(container.pid, 'ip', 'link', 'show', 'eth0')).toContain('link/ether 92:d0:c6:0a:29:33 ')
    await expect(
      host.runtime.containers.create(idle({ name: 'x', macAddress: '01:00:5e:00:00:01' })),
    ).rejects.toMatchObject({
      code: 'network.mac_invalid',
    })
  })

  test('none: a loopback that is up and nothing else', async () => {
    const container = await start(idle({ network: 'none', ports: web('x').ports ?? [] }))
    expect(container.ports).toEqual([])
    expect(container.ipAddress).toBeUndefined()
    expect(inside(container.pid, 'ip', '-o', 'link').trim().split('\n')).toHaveLength(1)
    expect(inside(container.pid, 'ip', '-o', 'addr')).toContain(' inet 127.0.0.1/8 ')
  })

  test('host: the host’s own namespace, no address of its own, nothing published', async () => {
    const container = await start(idle({ network: 'host', ports: web('x').ports ?? [] }))
    expect(namespaceOf(container.pid)).toBe(namespaceOf(process.pid))
    expect(container.ports).toEqual([])
    expect([container.ipAddress, container.macAddress]).toEqual([undefined, undefined])
    await host.runtime.containers.remove(container.id, { force: true })
    expect(readlinkSync('/proc/self/ns/net')).toBe(namespaceOf(process.pid))
  })
})

describe('a published port', () => {
  test('is reached by its own container under the host’s address', async () => {
    const container = await start(web('self'))
    const answer = () =>
      inside(container.pid, 'curl', '-s', '-m', '1', `http://${gatewayOf(container)}:${hostPort(container)}/`)
    expect(await until('the port answers', async () => tryTo(answer))).toBe('self\n')
  })

  test('on loopback is not reached by a neighbour that sends packets for 127.0.0.1 to this host', async () => {
    const local = await start(web('local', { hostIp: '127.0.0.1' }))
    const open = await start(web('open'))
    await until('it answers here', () =>
      fetch(`http://127.0.0.1:${hostPort(local)}/`)
        .then((r) => r.text())
        .catch(() => ''),
    )
    const neighbour = await plugInNeighbour(gatewayOf(local))
    try {
      const ask = (address: string, port: number) =>
        tryTo(() => inside(neighbour.pid, 'curl', '-s', '-m', '1', `http://${address}:${port}/`))
      // The neighbour's way to this host works, with the very address that is guarded too.
      expect(await until('the other port answers', async () => ask(gatewayOf(open), hostPort(open)))).toBe(
        'open\n',
      )
      expect(inside(neighbour.pid, 'ip', 'route', 'get', '127.0.0.1')).toContain('dev eth0')
      expect(ask('127.0.0.1', hostPort(local))).toBe('')
      expect(ask(gatewayOf(local), hostPort(local))).toBe('')
    } finally {
      neighbour.process.kill('SIGKILL')
    }
  })

  test('of udp and of one address is refused when a program of the host has it, and only then', async () => {
    const { containers } = host.runtime
    const program = createSocket('udp4').bind(0, '127.0.0.1')
    await once(program, 'listening')
    const { port } = program.address()
    const refused = { code: 'port.in_use', params: { port } }
    const udp = (name: string, hostIp: string) => web(name, { protocol: 'udp', hostPort: port, hostIp })
    await expect(containers.create(udp('a', '127.0.0.1'))).rejects.toMatchObject(refused)
    await expect(containers.create(udp('b', '0.0.0.0'))).rejects.toMatchObject(refused)
    await expect(containers.create(udp('c', '127.0.0.2'))).resolves.toBeDefined()
    await expect(containers.create(web('d', { hostPort: port }))).resolves.toBeDefined()
    program.close()
  })

  test('of a program on an IPv6 wildcard counts as taken', async () => {
    const program = createServer().listen(0, '::')
    await once(program, 'listening')
    const address = program.address()
    const port = typeof address === 'object' && address ? address.port : 0
    await expect(host.runtime.containers.create(web('a', { hostPort: port }))).rejects.toMatchObject({
      code: 'port.in_use',
    })
    program.close()
  })

  test('on an address this host does not have, or of IPv6, is refused clearly', async () => {
    const { containers } = host.runtime
    await expect(containers.create(web('a', { hostIp: '203.0.113.9' }))).rejects.toMatchObject({
      code: 'port.host_ip_missing',
    })
    await expect(containers.create(web('b', { hostIp: '::1' }))).rejects.toMatchObject({
      code: 'port.host_ip_invalid',
    })
    expect(await containers.list()).toEqual([])
  })

  test('of sctp has a rule, whatever sockets this kernel has', async () => {
    const container = await start(web('sctp', { protocol: 'sctp', containerPort: 9 }))
    const table = execFileSync('nft', ['list', 'table', 'inet', host.options.network?.bridge ?? ''], {
      encoding: 'utf8',
    })
    expect(table).toContain(`${hostPort(container)} : ${container.ipAddress} . 9`)
  })

  test('comes back when somebody flushed the packet rules', async () => {
    const one = await start(web('one'))
    execFileSync('nft', ['delete', 'table', 'inet', host.options.network?.bridge ?? ''])
    await start(idle({}))
    expect(
      await until('it answers', () =>
        fetch(`http://127.0.0.1:${hostPort(one)}/`)
          .then((r) => r.text())
          .catch(() => ''),
      ),
    ).toBe('one\n')
  })
})

test('a container reaches the host’s loopback services by no route', async () => {
  const program = createServer((socket) => socket.end('secret\n')).listen(0, '127.0.0.1')
  await once(program, 'listening')
  const address = program.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const lines = await linesOf(
    `nc -w 1 $(route -n 2>/dev/null | awk '/^0.0.0.0/ {print $2}') ${port} </dev/null; echo end`,
  )
  expect(lines).toContain('end')
  expect(lines).not.toContain('secret')
  program.close()
})

test('E10: a container in the host’s network finds no abstract socket of the engine and its monitors (CVE-2020-15257)', async () => {
  const container = await start(idle({ network: 'host', tty: true, openStdin: true }))
  await host.runtime.containers.execs.create(container.id, { argv: ['sleep', '1000'] })
  const owners = [process.pid, ...processesOf(`${host.dir}/`, host.options.cgroupParent)]
  const held = new Set(owners.flatMap(socketsOf))
  const sockets = inside(container.pid, 'cat', '/proc/net/unix').split('\n').slice(1)
  const named = sockets
    .map((line) => line.trim().split(/ +/))
    .flatMap(([, , , , , , inode = '', name]) => (name !== undefined && held.has(inode) ? [name] : []))
  expect(named.length).toBeGreaterThan(0)
  expect(named.filter((name) => name.startsWith('@'))).toEqual([])
  const files = execFileSync('find', [host.dir, '-type', 's'], { encoding: 'utf8' })
    .split('\n')
    .filter(Boolean)
  expect(files.length).toBeGreaterThan(0)
  for (const file of files) expect(statSync(file).mode & 0o007, file).toBe(0)
})

/** Inodes of the sockets that a process holds. */
const socketsOf = (pid: number): readonly string[] => {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? []
      } catch {
        return []
      }
    })
  } catch {
    return []
  }
}

function tryTo(work: () => string): string {
  try {
    return work()
  } catch {
    return ''
  }
}

/** A machine on the containers' own wire, ready to send packets for 127.0.0.1 to the gateway. */
async function plugInNeighbour(
  gateway: string,
): Promise<{ readonly pid: number; readonly process: ChildProcess }> {
  const neighbour = spawn('unshare', ['--net', 'sleep', '60'], { stdio: 'ignore' })
  const { pid = 0 } = neighbour
  await until('its namespace is there', async () => namespaceOf(pid) !== namespaceOf(process.pid))
  const bridge = host.options.network?.bridge ?? ''
  const cable = `n${bridge}`
  execFileSync('ip', [
    'link',
    'add',
    cable,
    'master',
    bridge,
    'up',
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    String(pid),
  ])
  const own = gateway.replace(/\d+$/, '250')
  const script = `ip addr add ${own}/24 dev eth0; ip link set eth0 up; echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet; ip route add 127.0.0.1 via ${gateway} src ${own}`
  inside(pid, 'sh', '-c', script)
  return { pid, process: neighbour }
}
