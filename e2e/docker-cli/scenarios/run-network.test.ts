import { describe, expect, test } from 'vitest'
import { containerName, docker, idle, inspect, lines, out, running, sh, until } from '../support/docker.js'
import { TINY } from '../support/images.js'
import { network } from '../support/networks.js'

const serve = ['httpd', '-f', '-p', '8080', '-h', '/etc']

/** What answers on a port of the engine's host, asked from a container in its network. */
const ask = (port: string | number): Promise<string> =>
  out('run', '--rm', '--network', 'host', TINY, 'wget', '-q', '-O', '-', `http://127.0.0.1:${port}/motd`)

async function answers(port: string | number): Promise<void> {
  await until(`port ${port} answers`, async () => (await ask(port).catch(() => '')) === 'hello from tiny')
}

describe('network modes', () => {
  test('by default an address on the bridge, with a route out', async () => {
    const name = await idle()
    const { NetworkSettings, HostConfig } = await inspect(name)
    expect(['default', 'bridge']).toContain(HostConfig.NetworkMode)
    const { IPAddress, Gateway, MacAddress, IPPrefixLen } = NetworkSettings.Networks.bridge
    expect(await out('exec', name, 'ip', '-4', 'addr', 'show', 'eth0')).toContain(
      `inet ${IPAddress}/${IPPrefixLen} `,
    )
    expect(await out('exec', name, 'ip', 'route')).toContain(`default via ${Gateway} dev eth0`)
    expect(await out('exec', name, 'cat', '/sys/class/net/eth0/address')).toBe(MacAddress)
  })

  test('two containers on the bridge reach each other', async () => {
    const name = await running([], serve)
    const { IPAddress } = (await inspect(name)).NetworkSettings.Networks.bridge
    expect(await sh(`until wget -q -O - http://${IPAddress}:8080/motd; do sleep 0.1; done 2>/dev/null`)).toBe(
      'hello from tiny',
    )
  })

  test('--network none has a loopback only', async () => {
    expect(await sh('ls /sys/class/net; ip addr show lo | grep -c 127.0.0.1', '--network', 'none')).toBe(
      'lo\n1',
    )
  })

  test("--network host has the host's links and name", async () => {
    const link = 'readlink /proc/self/ns/net'
    expect(await sh(link, '--network', 'host')).toBe(await sh(link, '--network', 'host'))
    const name = containerName()
    await out('create', '--name', name, '--network', 'host', TINY)
    expect((await inspect(name)).HostConfig.NetworkMode).toBe('host')
  })

  test('--network container:NAME shares addresses and ports', async () => {
    const name = await running([], serve)
    const script = 'until wget -q -O - http://127.0.0.1:8080/motd; do sleep 0.1; done 2>/dev/null'
    expect(await sh(script, '--network', `container:${name}`)).toBe('hello from tiny')
    const other = containerName()
    await out('create', '--name', other, '--network', `container:${name}`, TINY)
    expect((await inspect(other)).HostConfig.NetworkMode).toBe(`container:${(await inspect(name)).Id}`)
  })

  test('options that contradict --network container are refused', async () => {
    const name = await idle()
    const { code, stderr } = await docker('run', '--rm', '--network', `container:${name}`, '-p', '80', TINY)
    expect(code).toBe(125)
    expect(stderr).toMatch(/conflicting options: port publishing and the container type network mode/)
  })
})

describe('published ports', () => {
  test('-p HOST:CONTAINER answers on the host', async () => {
    const name = await running(['-p', '18080:8080'], serve)
    await answers(18080)
    expect(await lines('port', name)).toContain('8080/tcp -> 0.0.0.0:18080')
    expect((await inspect(name)).HostConfig.PortBindings).toEqual({
      '8080/tcp': [{ HostIp: '', HostPort: '18080' }],
    })
  })

  test('-p CONTAINER takes a free port', async () => {
    const name = await running(['-p', '8080'], serve)
    const [first = ''] = await lines('port', name, '8080')
    const port = Number(first.split(':').at(-1))
    expect(port).toBeGreaterThan(1023)
    await answers(port)
  })

  test('-p 127.0.0.1:HOST:CONTAINER is bound to that address', async () => {
    const name = await running(['-p', '127.0.0.1:18081:8080'], serve)
    await answers(18081)
    expect(await out('port', name, '8080/tcp')).toBe('127.0.0.1:18081')
    expect(await out('ps', '--filter', `name=${name}`, '--format', '{{.Ports}}')).toBe(
      '127.0.0.1:18081->8080/tcp',
    )
  })

  test('-p HOST:CONTAINER of a container with IPv6 is shown in both families', async () => {
    const dual = await network('--ipv6', '--subnet', 'fd00:93::/64', '--subnet', '10.219.0.0/24')
    const name = await running(['--network', dual, '-p', '18090:8080'], serve)
    expect((await lines('port', name, '8080/tcp')).toSorted()).toEqual([
      '0.0.0.0:18090',
      expect.stringMatching(/^(\[::\]|::):18090$/),
    ])
    await answers(18090)
  })

  test('-p [::]:HOST:CONTAINER is of IPv6 alone', async () => {
    const dual = await network('--ipv6', '--subnet', 'fd00:94::/64', '--subnet', '10.220.0.0/24')
    const name = await running(['--network', dual, '-p', '[::]:18091:8080'], serve)
    expect(await lines('port', name, '8080/tcp')).toEqual([expect.stringMatching(/^(\[::\]|::):18091$/)])
  })

  test('a network says which address of the host its ports are on, where they name none', async () => {
    const local = await network('-o', 'com.docker.network.bridge.host_binding_ipv4=127.0.0.1')
    const name = await running(['--network', local, '-p', '18092:8080', '-p', '0.0.0.0:18093:8080'], serve)
    expect((await lines('port', name, '8080/tcp')).toSorted()).toEqual(
      expect.arrayContaining(['0.0.0.0:18093', '127.0.0.1:18092']),
    )
    await answers(18092)
  })

  test('-p with /udp and a range', async () => {
    const name = await idle('-p', '18100-18101:8100-8101/udp')
    expect((await lines('port', name)).filter((line) => line.includes('0.0.0.0')).toSorted()).toEqual([
      '8100/udp -> 0.0.0.0:18100',
      '8101/udp -> 0.0.0.0:18101',
    ])
  })

  test('-P publishes what is exposed', async () => {
    const name = await running(['-P', '--expose', '8080'], serve)
    const [first = ''] = await lines('port', name)
    await answers(first.split(':').at(-1) ?? '')
  })

  test('--expose alone is shown by ps and not published', async () => {
    const name = await idle('--expose', '9000')
    expect(await out('ps', '--filter', `name=${name}`, '--format', '{{.Ports}}')).toBe('9000/tcp')
    expect(await out('port', name)).toBe('')
  })

  test('a port that is taken is refused, and the container stays created', async () => {
    await idle('-p', '18082:80')
    const name = containerName()
    const { code, stderr } = await docker('run', '-d', '--name', name, '-p', '18082:80', TINY, 'true')
    expect(code).toBe(125)
    expect(stderr).toMatch(/(port is already allocated|address already in use)/)
    expect((await inspect(name)).State.Status).toBe('created')
  })

  test('a port is free again when its container was removed', async () => {
    await out('rm', '-f', await idle('-p', '18083:80'))
    await idle('-p', '18083:80')
  })

  test('docker port of a port that is not published fails', async () => {
    const name = await idle()
    const { code, stderr } = await docker('port', name, '80')
    expect(code).toBe(1)
    expect(stderr).toMatch(/no public port '80(\/tcp)?' published for/i)
  })

  test('a port that is none is refused', async () => {
    const { code, stderr } = await docker('run', '--rm', '-p', '99999:80', TINY)
    expect(code).toBe(125)
    expect(stderr).toMatch(/invalid hostport|invalid port/i)
  })
})
