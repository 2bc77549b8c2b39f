import { describe, expect, test } from 'vitest'
import { containerName, idle, inspect, out, sh, unique, until } from '../support/docker.js'
import { network } from '../support/networks.js'

/** What busybox asks the resolver that the container's own file names: addresses, in order, none when there is no such name. */
async function lookup(container: string, name: string, type = 'a'): Promise<readonly string[]> {
  const text = await out('exec', container, 'sh', '-c', `nslookup -type=${type} ${name} 2>&1 || true`)
  // The first address is the server's own.
  return [...text.matchAll(/^Address(?: \d+)?: (\S+)/gm)]
    .flatMap(([, address]) => address ?? [])
    .filter((address) => !address.startsWith('127.0.0.11'))
    .toSorted()
}

const addressIn = async (container: string, name: string, field = 'IPAddress'): Promise<string> =>
  (await inspect(container)).NetworkSettings.Networks[name][field]

describe('containers of a network know each other', () => {
  test('by name, name and network, short id, hostname and alias', async () => {
    const name = await network()
    const alias = unique('alias')
    const one = await idle('--network', name, '--network-alias', alias, '--hostname', unique('host'))
    const two = await idle('--network', name)
    const address = await addressIn(one, name)
    const { Id } = await inspect(one)
    for (const known of [one, one.toUpperCase(), `${one}.${name}`, Id.slice(0, 12), alias])
      expect(await lookup(two, known), known).toEqual([address])
  })

  test('and themselves', async () => {
    const name = await network()
    const one = await idle('--network', name)
    expect(await lookup(one, one)).toEqual([await addressIn(one, name)])
  })

  test('an alias that several bear gives all their addresses', async () => {
    const name = await network()
    const alias = unique('alias')
    const all = await Promise.all([1, 2, 3].map(() => idle('--network', name, '--network-alias', alias)))
    const addresses = await Promise.all(all.map((one) => addressIn(one, name)))
    expect(await lookup(all[0] ?? '', alias)).toEqual(addresses.toSorted())
  })

  test('by the alias of a link, which is for one container alone', async () => {
    const name = await network()
    const one = await idle('--network', name)
    const alias = unique('link')
    const linked = await idle('--network', name, '--link', `${one}:${alias}`)
    expect(await lookup(linked, alias)).toEqual([await addressIn(one, name)])
    expect(await lookup(one, alias)).toEqual([])
  })

  test('by address: the name with the network after it', async () => {
    const name = await network()
    const one = await idle('--network', name)
    const two = await idle('--network', name)
    const text = await out('exec', two, 'nslookup', await addressIn(one, name))
    expect(text).toMatch(new RegExp(`name = ${one}\\.${name}$`, 'm'))
  })

  test('with IPv6 addresses too, and with none where a network has no IPv6', async () => {
    const name = await network('--ipv6', '--subnet', 'fd00:b17:5::/64')
    const one = await idle('--network', name)
    const two = await idle('--network', name)
    expect(await lookup(two, one, 'aaaa')).toEqual([await addressIn(one, name, 'GlobalIPv6Address')])
    const plain = await network()
    await out('network', 'connect', plain, two)
    const three = await idle('--network', plain)
    expect(await lookup(two, three, 'aaaa')).toEqual([])
    expect(await lookup(two, three)).toEqual([await addressIn(three, plain)])
  })

  test('but those of other networks do not', async () => {
    const one = await idle('--network', await network())
    const two = await idle('--network', await network())
    expect(await lookup(two, one)).toEqual([])
  })
})

describe('names follow what happens', () => {
  test('a container that is renamed has its new name only', async () => {
    const name = await network()
    const one = await idle('--network', name)
    const two = await idle('--network', name)
    const next = containerName()
    await out('rename', one, next)
    expect(await lookup(two, next)).toEqual([await addressIn(next, name)])
    expect(await lookup(two, one)).toEqual([])
  })

  test('one that was connected is found, and not after it was disconnected', async () => {
    const name = await network()
    const one = await idle('--network', await network())
    const two = await idle('--network', name)
    await out('network', 'connect', '--alias', 'extra', name, one)
    expect(await lookup(two, 'extra')).toEqual([await addressIn(one, name)])
    expect(await lookup(one, two)).toEqual([await addressIn(two, name)])
    await out('network', 'disconnect', name, one)
    expect(await lookup(two, one)).toEqual([])
  })

  test('one that was stopped is not found, and is again when it was started', async () => {
    const name = await network()
    const one = await idle('--network', name)
    const two = await idle('--network', name)
    await out('kill', one)
    await until('the name is gone', async () => (await lookup(two, one)).length === 0)
    await out('start', one)
    expect(await lookup(two, one)).toEqual([await addressIn(one, name)])
    expect(await lookup(one, two)).toEqual([await addressIn(two, name)])
  })
})

describe('the resolver’s file', () => {
  test('names the engine’s server, and tries names without a dot as they are', async () => {
    const text = await sh('cat /etc/resolv.conf', '--network', await network())
    expect(text).toMatch(/^nameserver 127\.0\.0\.11$/m)
    expect(text).toMatch(/^options .*\bndots:0\b/m)
    expect(text.match(/^nameserver/gm)).toHaveLength(1)
  })

  test('has what --dns-search and --dns-option say', async () => {
    const text = await sh(
      'cat /etc/resolv.conf',
      ...['--network', await network(), '--dns-search', 'inner.example', '--dns-option', 'ndots:3'],
    )
    expect(text).toMatch(/^nameserver 127\.0\.0\.11$/m)
    expect(text).toMatch(/^search inner\.example$/m)
    expect(text).toMatch(/^options ndots:3$/m)
  })

  test('of a container that shares another’s network is the other’s, and so are the names', async () => {
    const name = await network()
    const one = await idle('--network', name)
    const two = await idle('--network', name)
    const three = await idle('--network', `container:${one}`)
    expect(await lookup(three, two)).toEqual([await addressIn(two, name)])
  })
})

test('a container may serve port 53 itself', async () => {
  const name = await network()
  const one = await idle('--network', name)
  const listening = await out('exec', one, 'sh', '-c', 'nc -l -p 53 & sleep 0.3; netstat -ltn')
  expect(listening).toMatch(/(0\.0\.0\.0|::):53\s/)
  expect(await lookup(one, one)).toEqual([await addressIn(one, name)])
})

test('E7: a name outside is not found in an internal network, and its --dns is asked from inside only', async () => {
  const name = await network('--internal')
  const one = await idle('--network', name)
  expect(await lookup(one, 'stolen-data.example')).toEqual([])
  const two = await idle('--network', name, '--dns', '192.0.2.53')
  expect(await lookup(two, one)).toEqual([await addressIn(one, name)])
})
