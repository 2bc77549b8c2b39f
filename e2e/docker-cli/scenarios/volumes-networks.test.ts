import { describe, expect, onTestFinished, test } from 'vitest'
import { containerName, docker, idle, inspect, lines, out, sh, unique } from '../support/docker.js'
import { TINY } from '../support/images.js'

function volumeName(): string {
  const name = unique('v')
  onTestFinished(async () => void (await docker('volume', 'rm', '-f', name)))
  return name
}

describe('docker volume', () => {
  test('create prints the name, and makes one up when none is given', async () => {
    const name = volumeName()
    expect(await out('volume', 'create', name)).toBe(name)
    expect(await out('volume', 'create', name)).toBe(name)
    const made = await out('volume', 'create')
    expect(made).toMatch(/^[0-9a-f]{64}$/)
    expect(await out('volume', 'rm', made)).toBe(made)
  })

  test('inspect has driver, labels, scope and path', async () => {
    const name = volumeName()
    await out('volume', 'create', '--label', 'k=v', name)
    expect(await inspect(name, 'volume')).toMatchObject({
      Name: name,
      Driver: 'local',
      Scope: 'local',
      Labels: { k: 'v' },
      Mountpoint: expect.stringContaining(name),
      CreatedAt: expect.stringMatching(/^\d{4}-/),
    })
  })

  test('ls lists, -q prints names, filters by name, label, driver and dangling', async () => {
    const [used, unused] = [volumeName(), volumeName()]
    const label = unique('l')
    for (const name of [used, unused]) await out('volume', 'create', '--label', label, name)
    const name = await idle('-v', `${used}:/m`)
    const ls = async (...filters: string[]) =>
      (await lines('volume', 'ls', '-q', ...filters.flatMap((filter) => ['--filter', filter]))).toSorted()
    expect(await ls(`label=${label}`)).toEqual([used, unused].toSorted())
    expect(await ls(`label=${label}`, 'dangling=true')).toEqual([unused])
    expect(await ls(`label=${label}`, 'dangling=false')).toEqual([used])
    expect(await ls(`name=${used.slice(2)}`)).toEqual([used])
    expect(await ls(`label=${label}`, 'driver=local')).toHaveLength(2)
    const [head = '', row = ''] = await lines('volume', 'ls', '--filter', `name=${used}`)
    expect([head, row]).toEqual([
      expect.stringMatching(/^DRIVER +VOLUME NAME$/),
      expect.stringMatching(new RegExp(`^local +${used}$`)),
    ])
    await docker('rm', '-f', name)
  })

  test('rm of one that is used is refused and says by whom, also with -f', async () => {
    const volume = volumeName()
    const name = await idle('-v', `${volume}:/m`)
    const { Id } = await inspect(name)
    for (const flags of [[], ['-f']]) {
      const { code, stderr } = await docker('volume', 'rm', ...flags, volume)
      expect(code).toBe(1)
      expect(stderr).toMatch(/volume is in use/)
      expect(stderr).toContain(Id)
    }
    await docker('rm', '-f', name)
    expect(await out('volume', 'rm', volume)).toBe(volume)
  })

  test('rm and inspect of one that is not there fail; rm -f does not', async () => {
    const removed = await docker('volume', 'rm', 'no-such-volume')
    expect(removed.code).toBe(1)
    expect(removed.stderr).toMatch(/no such volume/i)
    expect((await docker('volume', 'rm', '-f', 'no-such-volume')).code).toBe(0)
    const inspected = await docker('volume', 'inspect', 'no-such-volume')
    expect(inspected.code).toBe(1)
    expect(inspected.stdout.trim()).toBe('[]')
    expect(inspected.stderr).toMatch(/no such volume/i)
  })

  test('a name that is none, a driver or an option that is none are refused', async () => {
    expect((await docker('volume', 'create', 'a')).stderr).toMatch(
      /volume name is too short, names should be at least two alphanumeric characters/,
    )
    expect((await docker('volume', 'create', 'b@d')).stderr).toMatch(
      /includes invalid characters for a local volume name/,
    )
    expect((await docker('volume', 'create', '--driver', 'nonsense')).stderr).toMatch(
      /error looking up volume plugin nonsense: plugin "nonsense" not found/,
    )
    expect((await docker('volume', 'create', '--opt', 'nonsense=1')).stderr).toMatch(/invalid option/)
  })

  test('options of the local driver make a tmpfs', async () => {
    const name = volumeName()
    await out('volume', 'create', '-o', 'type=tmpfs', '-o', 'device=tmpfs', '-o', 'o=size=1m,mode=1700', name)
    expect((await inspect(name, 'volume')).Options).toEqual({
      type: 'tmpfs',
      device: 'tmpfs',
      o: 'size=1m,mode=1700',
    })
    expect(await sh('grep " /m " /proc/mounts', '-v', `${name}:/m`)).toMatch(
      /^tmpfs \/m tmpfs rw,.*size=1024k,mode=1700/,
    )
  })

  test('prune removes what nobody uses, and says what', async () => {
    const label = unique('l')
    const [used, made] = [volumeName(), await out('volume', 'create', '--label', label)]
    await out('volume', 'create', '--label', label, used)
    const name = await idle('-v', `${used}:/m`)
    const { stdout } = await docker('volume', 'prune', '-f', '--filter', `label=${label}`)
    expect(stdout).toMatch(/Total reclaimed space: \d/)
    expect((await docker('volume', 'inspect', used)).code).toBe(0)
    await docker('volume', 'rm', '-f', made)
    await docker('rm', '-f', name)
  })
})

describe('docker network', () => {
  test('ls has bridge, host and none', async () => {
    const rows = await lines('network', 'ls', '--format', '{{.Name}} {{.Driver}} {{.Scope}}')
    expect(rows).toEqual(
      expect.arrayContaining(['bridge bridge local', 'host host local', 'none null local']),
    )
  })

  test('ls filters by name, driver and type', async () => {
    const ls = (filter: string) => lines('network', 'ls', '--format', '{{.Name}}', '--filter', filter)
    expect(await ls('name=^bridge$')).toEqual(['bridge'])
    expect(await ls('driver=host')).toEqual(['host'])
    expect(await ls('type=builtin')).toEqual(expect.arrayContaining(['bridge', 'host', 'none']))
    expect(await ls('type=custom')).not.toContain('bridge')
  })

  test('-q prints ids that inspect takes', async () => {
    const id = await out('network', 'ls', '-q', '--no-trunc', '--filter', 'name=^bridge$')
    expect(id).toMatch(/^[0-9a-f]{64}$/)
    expect((await inspect(id, 'network')).Name).toBe('bridge')
    expect((await inspect(id.slice(0, 12), 'network')).Id).toBe(id)
  })

  test('inspect of bridge has its subnet and its containers', async () => {
    const name = await idle()
    const { Id, NetworkSettings } = await inspect(name)
    const bridge = await inspect('bridge', 'network')
    expect(bridge).toMatchObject({
      Name: 'bridge',
      Driver: 'bridge',
      Scope: 'local',
      Internal: false,
      EnableIPv6: false,
    })
    expect(bridge.IPAM.Config[0].Subnet).toMatch(/^\d+\.\d+\.\d+\.\d+\/\d+$/)
    const { IPAddress, IPPrefixLen, MacAddress } = NetworkSettings.Networks.bridge
    expect(bridge.Containers[Id]).toMatchObject({
      Name: name,
      IPv4Address: `${IPAddress}/${IPPrefixLen}`,
      MacAddress,
    })
  })

  test('ps --filter network finds who is on it', async () => {
    const name = containerName()
    await out('run', '-d', '--name', name, '--network', 'none', TINY, 'sleep', '1000')
    expect(await lines('ps', '--filter', 'network=none', '--format', '{{.Names}}')).toContain(name)
    expect(await lines('ps', '--filter', 'network=bridge', '--format', '{{.Names}}')).not.toContain(name)
  })

  test('what is not there cannot be removed or inspected, what is predefined not be removed', async () => {
    for (const command of ['rm', 'inspect']) {
      const { code, stderr } = await docker('network', command, 'no-such-network')
      expect(code).toBe(1)
      expect(stderr).toMatch(/network no-such-network not found|No such network: no-such-network/i)
    }
    const { code, stderr } = await docker('network', 'rm', 'bridge')
    expect(code).toBe(1)
    expect(stderr).toMatch(/bridge is a pre-defined network and cannot be removed/)
  })

  test('a predefined name cannot be made again', async () => {
    const { code, stderr } = await docker('network', 'create', 'bridge')
    expect(code).toBe(1)
    expect(stderr).toMatch(/operation is not permitted on predefined bridge network/)
  })
})
