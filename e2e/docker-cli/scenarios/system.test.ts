import { describe, expect, test } from 'vitest'
import { containerName, docker, idle, inspect, lines, out, unique } from '../support/docker.js'
import { TINY } from '../support/images.js'

describe('version and info', () => {
  test('version has an API of at least 1.41, of this system', async () => {
    const { Server } = JSON.parse(await out('version', '--format', '{{json .}}'))
    const [major, minor] = Server.ApiVersion.split('.').map(Number)
    expect(major).toBe(1)
    expect(minor).toBeGreaterThanOrEqual(41)
    expect(Server).toMatchObject({ Os: 'linux', Arch: process.arch === 'x64' ? 'amd64' : process.arch })
    expect(Server.Version).toMatch(/\d/)
    expect(Server.KernelVersion).toMatch(/^\d+\.\d+/)
  })

  test('info counts containers by state', async () => {
    const name = await idle()
    const info = JSON.parse(await out('info', '--format', '{{json .}}'))
    expect(info.ContainersRunning).toBeGreaterThanOrEqual(1)
    expect(info.Containers).toBeGreaterThanOrEqual(info.ContainersRunning)
    expect(info.Images).toBeGreaterThanOrEqual(4)
    expect(info).toMatchObject({ OSType: 'linux', Driver: 'overlay2', MemoryLimit: true, PidsLimit: true })
    expect(info.NCPU).toBeGreaterThan(0)
    expect(info.MemTotal).toBeGreaterThan(1e8)
    expect(info.Plugins.Volume).toContain('local')
    expect(info.Plugins.Network).toEqual(expect.arrayContaining(['bridge', 'host', 'null']))
    expect(info.Plugins.Log).toContain('json-file')
    expect(info.SecurityOptions.join()).toContain('seccomp')
    expect(info.ServerErrors ?? []).toEqual([])
    await docker('rm', '-f', name)
  })

  test('info as text names the parts', async () => {
    expect(await out('info')).toMatch(
      /Server Version: .+[\s\S]*Storage Driver: overlay2[\s\S]*Cgroup Version: [12]/,
    )
  })

  test('system df counts images, containers, volumes and cache', async () => {
    await idle()
    const rows = await lines('system', 'df', '--format', '{{.Type}}|{{.TotalCount}}|{{.Active}}')
    expect(rows.map((row) => row.split('|')[0])).toEqual([
      'Images',
      'Containers',
      'Local Volumes',
      'Build Cache',
    ])
    const [images = '', containers = ''] = rows
    expect(Number(images.split('|')[1])).toBeGreaterThanOrEqual(4)
    expect(Number(containers.split('|')[2])).toBeGreaterThanOrEqual(1)
  })

  test('system df -v has a row for each thing', async () => {
    const name = await idle()
    const text = await out('system', 'df', '-v')
    expect(text).toContain(name)
    // One that no image was built upon: docker leaves out those that have children.
    expect(text).toMatch(/^tiny-full +1 +[0-9a-f]{12}/m)
  })
})

describe('prune', () => {
  test('container prune removes what has ended, by label, and prints the ids', async () => {
    const label = unique('l')
    const up = await idle('-l', label)
    const down = containerName()
    await out('run', '--name', down, '-l', label, TINY, 'true')
    const { Id } = await inspect(down)
    const text = await out('container', 'prune', '-f', '--filter', `label=${label}`)
    expect(text).toContain(`Deleted Containers:\n${Id}`)
    expect(text).toMatch(/Total reclaimed space: /)
    expect((await docker('inspect', down)).code).toBe(1)
    expect((await inspect(up)).State.Running).toBe(true)
  })

  test('container prune --filter until keeps what is younger', async () => {
    const label = unique('l')
    const name = containerName()
    await out('create', '--name', name, '-l', label, TINY)
    await out('container', 'prune', '-f', '--filter', `label=${label}`, '--filter', 'until=1h')
    expect((await inspect(name)).State.Status).toBe('created')
  })

  test('image prune removes dangling images, -a also named ones nobody uses', async () => {
    const label = unique('l')
    const make = async (n: number) => {
      const name = containerName()
      await out('create', '--name', name, TINY)
      const id = await out('commit', '-c', `LABEL ${label}=${n}`, name, `${label}:1`)
      await out('rm', name)
      return id
    }
    const [dangling, named] = [await make(1), await make(2)]
    expect(await out('image', 'prune', '-f', '--filter', `label=${label}`)).toContain(dangling)
    expect((await inspect(named, 'image')).RepoTags).toEqual([`${label}:1`])
    expect(await out('image', 'prune', '-a', '-f', '--filter', `label=${label}`)).toContain(named)
    expect((await docker('image', 'inspect', named)).code).toBe(1)
  })

  test('system prune removes containers and images by label', async () => {
    const label = unique('l')
    const name = containerName()
    await out('create', '--name', name, '-l', label, TINY)
    const { Id } = await inspect(name)
    expect(await out('system', 'prune', '-f', '--filter', `label=${label}`)).toContain(Id)
    expect((await docker('inspect', name)).code).toBe(1)
  })

  test('a prune filter that is none is refused', async () => {
    const { code, stderr } = await docker('container', 'prune', '-f', '--filter', 'nonsense=1')
    expect(code).toBe(1)
    expect(stderr).toMatch(/[Ii]nvalid filter '?nonsense'?/)
  })
})

describe('mistakes', () => {
  test('an unknown command is refused', async () => {
    const { code, stderr } = await docker('nonsense')
    expect(code).toBe(1)
    expect(stderr).toMatch(/nonsense/)
  })

  test('a command without what it needs says so', async () => {
    for (const command of ['run', 'rm', 'exec', 'logs', 'inspect']) {
      const { code, stderr } = await docker(command)
      expect(code).toBe(1)
      expect(stderr).toMatch(/requires (at least |exactly )?\d argument/)
    }
  })

  test('swarm commands say that this is no swarm', async () => {
    const { code, stderr } = await docker('service', 'ls')
    expect(code).toBe(1)
    expect(stderr).toMatch(/This node is not a swarm manager/)
  })
})
