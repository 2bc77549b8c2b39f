import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  containerName,
  docker,
  dockerIn,
  dockerSpawn,
  hostDir,
  idle,
  inspect,
  lines,
  out,
  sh,
  unique,
} from '../support/docker.js'
import { TINY, VOLUME } from '../support/images.js'

function volumeName(): string {
  const name = unique('v')
  onTestFinished(async () => void (await docker('volume', 'rm', '-f', name)))
  return name
}

/** Before API 1.42 a prune takes named volumes as well, and needs no `--all`. */
const OLD = { env: { DOCKER_API_VERSION: '1.41' } }

async function prune(...filters: readonly string[]): Promise<string> {
  const flags = filters.flatMap((filter) => ['--filter', filter])
  const { code, stdout, stderr } = await dockerIn(OLD, 'volume', 'prune', '-f', ...flags)
  if (code !== 0) throw new Error(stderr)
  return stdout
}

const exists = async (name: string) => (await docker('volume', 'inspect', name)).code === 0

describe('volumes: making, finding and removing', () => {
  test('one that is made again with other options is the first one still', async () => {
    const name = volumeName()
    await out('volume', 'create', '--label', 'first=yes', name)
    expect(await out('volume', 'create', '-o', 'type=tmpfs', '-o', 'device=tmpfs', name)).toBe(name)
    expect(await inspect(name, 'volume')).toMatchObject({
      Labels: { first: 'yes' },
      Options: expect.toSatisfy((o) => !o || Object.keys(o).length === 0),
    })
  })

  test('inspect takes several names and a template, and tells which is not there', async () => {
    const [one, two] = [volumeName(), volumeName()]
    for (const name of [one, two]) await out('volume', 'create', name)
    expect(await lines('volume', 'inspect', '-f', '{{.Driver}}/{{.Name}}', one, two)).toEqual([
      `local/${one}`,
      `local/${two}`,
    ])
    const { code, stdout, stderr } = await docker('volume', 'inspect', '-f', '{{.Name}}', one, 'no-such-one')
    expect([code, stdout.trim()]).toEqual([1, one])
    expect(stderr).toMatch(/no such volume/i)
  })

  test('ls filters by key and by value of a label, and several filters must all fit', async () => {
    const [one, two] = [volumeName(), volumeName()]
    const label = unique('l')
    await out('volume', 'create', '--label', `${label}=one`, one)
    await out('volume', 'create', '--label', `${label}=two`, '--label', 'more', two)
    const ls = async (...filters: string[]) =>
      (await lines('volume', 'ls', '-q', ...filters.flatMap((filter) => ['--filter', filter]))).toSorted()
    expect(await ls(`label=${label}`)).toEqual([one, two].toSorted())
    expect(await ls(`label=${label}=one`)).toEqual([one])
    expect(await ls(`label=${label}`, 'label=more')).toEqual([two])
    expect(await ls(`label=${label}`, `name=${one}`)).toEqual([one])
    expect(await ls(`label=${label}`, 'driver=nobody')).toEqual([])
  })

  test('ls prints labels, mount point and scope with a format', async () => {
    const name = volumeName()
    await out('volume', 'create', '--label', 'a=1', name)
    const format = '{{.Name}}|{{.Label "a"}}|{{.Labels}}|{{.Scope}}|{{.Mountpoint}}'
    const [row = ''] = await lines('volume', 'ls', '--filter', `name=${name}`, '--format', format)
    expect(row).toMatch(new RegExp(`^${name}\\|1\\|a=1\\|local\\|/.*${name}/_data$`))
  })

  test('a filter that does not exist, or whose value is none, is refused', async () => {
    const unknown = await docker('volume', 'ls', '--filter', 'nonsense=1')
    expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringMatching(/invalid filter/i)])
    const value = await docker('volume', 'ls', '--filter', 'dangling=perhaps')
    expect([value.code, value.stderr]).toEqual([1, expect.stringMatching(/invalid filter/i)])
    const pruned = await docker('volume', 'prune', '-f', '--filter', 'nonsense=1')
    expect([pruned.code, pruned.stderr]).toEqual([1, expect.stringMatching(/invalid filter/i)])
  })

  test('rm takes several, and removes those that are there when one is not', async () => {
    const [one, two] = [volumeName(), volumeName()]
    for (const name of [one, two]) await out('volume', 'create', name)
    const { code, stdout } = await docker('volume', 'rm', one, 'no-such-one', two)
    expect([code, stdout.trim().split('\n')]).toEqual([1, [one, two]])
    expect(await exists(two)).toBe(false)
  })

  test.each(['../x', 'a/b', '.hidden', '-dash', 'sp ace', 'ü'])('the name %j is refused', async (name) => {
    const { code, stderr } = await docker('volume', 'create', '--name', name)
    expect(code).toBe(1)
    expect(stderr).toMatch(/includes invalid characters for a local volume name/)
  })

  test('an option without what it needs is refused', async () => {
    for (const option of ['type=tmpfs', 'device=/x', 'o=ro']) {
      const { code, stderr } = await docker('volume', 'create', '-o', option)
      expect([code, stderr]).toEqual([1, expect.stringMatching(/missing required option/)])
    }
  })
})

describe('volumes: prune', () => {
  test('takes what has the label and nobody uses, also by a container that has stopped', async () => {
    const label = unique('l')
    const [unused, used] = [volumeName(), volumeName()]
    for (const name of [unused, used]) await out('volume', 'create', '--label', label, name)
    const name = containerName()
    await out('run', '--name', name, '-v', `${used}:/m`, TINY, 'true')
    const said = await prune(`label=${label}`)
    expect(said).toContain(`Deleted Volumes:\n${unused}\n`)
    expect([await exists(unused), await exists(used)]).toEqual([false, true])
    await out('rm', name)
  })

  test('label!= keeps what has the label', async () => {
    const [label, kept] = [unique('l'), unique('k')]
    const [one, two, three] = [volumeName(), volumeName(), volumeName()]
    await out('volume', 'create', '--label', label, one)
    await out('volume', 'create', '--label', label, '--label', kept, two)
    await out('volume', 'create', '--label', label, '--label', `${kept}=other`, three)
    await prune(`label=${label}`, `label!=${kept}=other`)
    expect([await exists(one), await exists(two), await exists(three)]).toEqual([false, false, true])
  })

  test('says how much room it made, and nothing to delete is no failure', async () => {
    const label = unique('l')
    const name = volumeName()
    await out('volume', 'create', '--label', label, name)
    await sh('dd if=/dev/zero of=/m/f bs=1000 count=3000 2>/dev/null', '-v', `${name}:/m`)
    expect(await prune(`label=${label}`)).toContain('Total reclaimed space: 3MB')
    expect(await prune(`label=${label}`)).toContain('Total reclaimed space: 0B')
  })

  test('leaves alone a volume with driver options', async () => {
    const label = unique('l')
    const name = volumeName()
    await out('volume', 'create', '--label', label, '-o', 'type=tmpfs', '-o', 'device=tmpfs', name)
    await prune(`label=${label}`)
    expect(await exists(name)).toBe(true)
  })
})

describe('volumes: in containers', () => {
  test('data outlives the container, and another one finds it', async () => {
    const name = volumeName()
    await sh('echo kept > /m/f; chmod 640 /m/f; chown 1000:50 /m/f', '-v', `${name}:/m`)
    expect(await sh('stat -c "%u %g %a" /n/f; cat /n/f', '-v', `${name}:/n`)).toBe('1000 50 640\nkept')
  })

  test('an empty one is filled from the image once, with nocopy never', async () => {
    const [filled, bare] = [volumeName(), volumeName()]
    const ls = (volume: string) => out('run', '--rm', '-v', volume, VOLUME, 'ls', '/data')
    expect(await ls(`${filled}:/data`)).toBe('seed')
    expect(await ls(`${bare}:/data:nocopy`)).toBe('')
    await sh('rm /data/seed; echo > /data/mine', '-v', `${filled}:/data`)
    expect(await ls(`${filled}:/data`)).toBe('mine')
    const other = volumeName()
    const mount = `type=volume,src=${other},dst=/data,volume-nocopy`
    expect(await out('run', '--rm', '--mount', mount, VOLUME, 'ls', '/data')).toBe('')
  })

  test('--mount gives a new volume its labels, and an anonymous one when it has no source', async () => {
    const [name, volume] = [containerName(), volumeName()]
    const mounts = [`type=volume,src=${volume},dst=/one,volume-label=tier=db`, 'type=volume,dst=/two']
    await out('run', '-d', '--name', name, ...mounts.flatMap((m) => ['--mount', m]), TINY, 'sleep', '1000')
    expect((await inspect(volume, 'volume')).Labels).toEqual({ tier: 'db' })
    const { Mounts } = await inspect(name)
    const [one, two] = (Mounts as { Destination: string; Name: string; RW: boolean }[]).toSorted((a, b) =>
      a.Destination < b.Destination ? -1 : 1,
    )
    expect(one).toMatchObject({ Name: volume, RW: true })
    expect(two).toMatchObject({ Name: expect.stringMatching(/^[0-9a-f]{64}$/), RW: true })
  })

  test('a read-only one cannot be written to', async () => {
    const name = volumeName()
    const { code, stderr } = await docker('run', '--rm', '-v', `${name}:/m:ro`, TINY, 'touch', '/m/f')
    expect([code, stderr]).toEqual([1, expect.stringContaining('Read-only file system')])
  })

  test('an anonymous one that could never be written to is refused', async () => {
    const { code, stderr } = await docker('create', '--mount', 'type=volume,dst=/m,readonly', TINY)
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('must not set ReadOnly mode when using anonymous volumes'),
    ])
  })

  test('two containers share what they write, and --volumes-from gives the same, read-only when asked', async () => {
    const name = volumeName()
    const first = await idle('-v', `${name}:/m`)
    await out('exec', first, 'sh', '-c', 'echo one > /m/f')
    expect(await sh('cat /m/f; echo two >> /m/f', '--volumes-from', first)).toBe('one')
    expect(await out('exec', first, 'cat', '/m/f')).toBe('one\ntwo')
    const { code, stderr } = await docker(
      'run',
      '--rm',
      '--volumes-from',
      `${first}:ro`,
      TINY,
      'touch',
      '/m/g',
    )
    expect([code, stderr]).toEqual([1, expect.stringContaining('Read-only file system')])
    await out('rm', '-f', first)
  })

  test('rm -v takes anonymous volumes along and leaves named ones; rm alone leaves both', async () => {
    const named = volumeName()
    const make = async () => {
      const name = containerName()
      await out('create', '--name', name, '-v', `${named}:/m`, '-v', '/anonymous', TINY)
      const { Mounts } = await inspect(name)
      const { Name } = (Mounts as { Name: string; Destination: string }[]).find(
        ({ Destination }) => Destination === '/anonymous',
      ) ?? { Name: '' }
      return { name, anonymous: Name }
    }
    const [kept, gone] = [await make(), await make()]
    await out('rm', kept.name)
    await out('rm', '-v', gone.name)
    expect(await exists(kept.anonymous)).toBe(true)
    expect([await exists(gone.anonymous), await exists(named)]).toEqual([false, true])
    await out('volume', 'rm', kept.anonymous)
  })

  test('cp goes into and out of a volume, also when the container has stopped', async () => {
    const [name, volume] = [containerName(), volumeName()]
    const dir = hostDir()
    writeFileSync(`${dir}/given`, 'given\n')
    await out('create', '--name', name, '-v', `${volume}:/m`, TINY)
    await out('cp', `${dir}/given`, `${name}:/m/given`)
    expect(await sh('cat /n/given; echo back > /n/back', '-v', `${volume}:/n`)).toBe('given')
    await out('cp', `${name}:/m/back`, `${dir}/back`)
    expect(readFileSync(`${dir}/back`, 'utf8')).toBe('back\n')
    await out('rm', name)
  })

  test('ps filters by the volume’s name and by where it is mounted', async () => {
    const volume = volumeName()
    const name = await idle('-v', `${volume}:/place-of-${volume}`)
    for (const filter of [volume, `/place-of-${volume}`])
      expect(await lines('ps', '--filter', `volume=${filter}`, '--format', '{{.Names}}')).toEqual([name])
    expect(await lines('ps', '-q', '--filter', 'volume=no-such-one')).toEqual([])
    await out('rm', '-f', name)
  })

  test('inspect of the container names volume, driver, place and path', async () => {
    const volume = volumeName()
    const name = await idle('-v', `${volume}:/m`)
    const { Mountpoint } = await inspect(volume, 'volume')
    expect((await inspect(name)).Mounts).toMatchObject([
      { Type: 'volume', Name: volume, Source: Mountpoint, Destination: '/m', Driver: 'local', RW: true },
    ])
    await out('rm', '-f', name)
  })

  test.each([
    ['relative', /mount path must be absolute/],
    ['/', /destination can't be '\/'/],
  ])('the place %s is refused', async (place, words) => {
    const { code, stderr } = await docker('create', '-v', `${unique('v')}:${place}`, TINY)
    expect([code, stderr]).toEqual([expect.any(Number), expect.stringMatching(words)])
    expect(code).not.toBe(0)
  })

  test('two at one place are refused', async () => {
    const { code, stderr } = await docker('create', '-v', 'one-v:/m', '--mount', 'type=volume,dst=/m', TINY)
    expect([code, stderr]).toEqual([1, expect.stringContaining('Duplicate mount point: /m')])
  })
})

describe('volumes: driver options', () => {
  const bind = (device: string) => ['-o', 'type=none', '-o', 'o=bind', '-o', `device=${device}`]

  test('a bind volume shows a directory of the host, is filled from the image, and leaves it when it goes', async () => {
    const name = volumeName()
    const device = hostDir()
    await out('volume', 'create', ...bind(device), name)
    const run = ['run', '--rm', '-v', `${name}:/data`, VOLUME, 'sh', '-c', 'echo > /data/made; ls /data']
    expect(await out(...run)).toBe('made\nseed')
    await out('volume', 'rm', name)
    expect(existsSync(`${device}/seed`)).toBe(true)
  })

  test('one whose directory is not there is made, and cannot be run with', async () => {
    const name = volumeName()
    const device = `${hostDir()}/missing`
    await out('volume', 'create', ...bind(device), name)
    const { code, stderr } = await docker('run', '--rm', '-v', `${name}:/m`, TINY, 'true')
    expect(code).toBe(127)
    expect(stderr).toMatch(
      new RegExp(`failed to mount local volume: mount ${device}:.*: no such file or directory`),
    )
    mkdirSync(device)
    await out('run', '--rm', '-v', `${name}:/m`, TINY, 'touch', '/m/now')
    expect(existsSync(`${device}/now`)).toBe(true)
  })

  test('a read-only option makes it read-only', async () => {
    const name = volumeName()
    await out('volume', 'create', '-o', 'type=tmpfs', '-o', 'device=tmpfs', '-o', 'o=ro,size=1m', name)
    const { code, stderr } = await docker('run', '--rm', '-v', `${name}:/m`, TINY, 'touch', '/m/f')
    expect([code, stderr]).toEqual([1, expect.stringContaining('Read-only file system')])
  })

  test('a tmpfs volume is one for all who run with it, and empty after the last', async () => {
    const name = volumeName()
    await out('volume', 'create', '-o', 'type=tmpfs', '-o', 'device=tmpfs', '-o', 'o=size=1m', name)
    const first = await idle('-v', `${name}:/m`)
    await out('exec', first, 'sh', '-c', 'echo shared > /m/f')
    expect(await sh('cat /n/f', '-v', `${name}:/n`)).toBe('shared')
    await out('rm', '-f', first)
    expect(await sh('ls /n', '-v', `${name}:/n`)).toBe('')
  })

  test('--mount with volume-opt makes one with options', async () => {
    const name = volumeName()
    const mount = `type=volume,src=${name},dst=/m,volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-opt=o=size=2m`
    expect(await out('run', '--rm', '--mount', mount, TINY, 'grep', ' /m ', '/proc/mounts')).toContain(
      'size=2048k',
    )
    expect((await inspect(name, 'volume')).Options).toEqual({ type: 'tmpfs', device: 'tmpfs', o: 'size=2m' })
  })
})

describe('volumes: what the engine tells', () => {
  test('system df -v has name, links and size', async () => {
    const volume = volumeName()
    await sh('dd if=/dev/zero of=/m/f bs=1000 count=2000 2>/dev/null', '-v', `${volume}:/m`)
    const row = async () =>
      (await lines('system', 'df', '-v'))
        .find((line) => line.startsWith(volume))
        ?.split(/\s+/)
        .slice(1)
    expect(await row()).toEqual(['0', '2MB'])
    const name = await idle('-v', `${volume}:/m`)
    expect(await row()).toEqual(['1', '2MB'])
    await out('rm', '-f', name)
  })

  test('events tell of create, mount, unmount and destroy, with driver and container', async () => {
    const volume = volumeName()
    const format = '{{.Action}} {{.Actor.ID}} {{.Actor.Attributes.driver}} {{.Actor.Attributes.destination}}'
    const events = dockerSpawn('events', '--filter', `volume=${volume}`, '--since', '0m', '--format', format)
    await sh('true', '-v', `${volume}:/m`)
    await out('volume', 'rm', volume)
    await events.shows(`destroy ${volume} local`)
    expect(events.stdout.split('\n').map((line) => line.split(' ')[0])).toEqual(
      expect.arrayContaining(['create', 'mount', 'unmount', 'destroy']),
    )
    expect(events.stdout).toContain(`mount ${volume} local /m`)
    expect(events.stdout).toContain(`create ${volume} local`)
  })
})
