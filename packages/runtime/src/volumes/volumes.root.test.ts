import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import type { ContainerId } from '@berth/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ContainerSpec, MountSpec, RuntimeEvent } from '../api.js'
import { purgeHost } from '../purge.exec.js'
import { openRuntime } from '../runtime.js'
import {
  bytesOf,
  chunksOf,
  entriesOf,
  openTestRuntime,
  spawnRuntime,
  type TarEntry,
  type TestRuntime,
  tarOf,
} from '../testing/index.js'
import { mountsBelow } from '../testing/leftovers.js'
import { startSwapper } from '../testing/swapper.js'

let host: TestRuntime
let number = 0

/** A Linux of one program, with entries and declared volumes. */
const image = (reference: string, entries: readonly TarEntry[], declared: readonly string[]) => {
  const busybox = { name: 'bin/busybox', mode: 0o755, body: readFileSync('/bin/busybox') }
  const sleep = { name: 'bin/sleep', type: 'symlink', linkname: 'busybox' } as const
  return host.runtime.images.import(chunksOf(tarOf([busybox, sleep, ...entries]), 100_000), {
    reference,
    changes: [`VOLUME ${JSON.stringify(declared)}`, 'CMD ["sleep", "1000"]'],
  })
}

beforeEach(async () => {
  host = await openTestRuntime()
  await image(
    'tiny:1',
    [
      { name: 'data', type: 'directory', mode: 0o1770, uid: 3, gid: 4 },
      { name: 'data/one', body: '1' },
      { name: 'data/sub', type: 'directory', mode: 0o751, uid: 5, gid: 6 },
      { name: 'data/sub/two', body: '2' },
    ],
    ['/data'],
  )
})
afterEach(() => host.dispose())

const containers = () => host.runtime.containers
const volumes = () => host.runtime.volumes
const make = async (mounts: readonly MountSpec[] = [], spec: Partial<ContainerSpec> = {}) =>
  containers().create({ name: `c${number++}`, image: 'tiny:1', network: 'none', mounts, ...spec })
const start = async (mounts: readonly MountSpec[] = [], spec: Partial<ContainerSpec> = {}) =>
  containers().start((await make(mounts, spec)).id)
const text = async (id: ContainerId, path: string) =>
  entriesOf(await bytesOf((await containers().files.copyOut(id, path)).archive))[0]?.body
const put = (id: ContainerId, path: string, name: string, body: string) =>
  containers().files.copyIn(id, path, chunksOf(tarOf([{ name, body }])))
const names = async () => (await volumes().list()).map(({ name }) => name)
const pathOf = async (name: string) => (await volumes().get(name)).mountpoint

describe('copy-up', () => {
  test('an empty volume gets what the image has, with its modes; a second container finds it as it is', async () => {
    const first = await start([{ type: 'volume', source: 'shared', target: '/data' }])
    expect(await text(first.id, '/data/sub/two')).toBe('2')
    const { mode, uid, gid } = statSync(await pathOf('shared'))
    expect([mode & 0o7777, uid, gid]).toEqual([0o1770, 3, 4])
    expect((await containers().files.stat(first.id, '/data/sub')).mode & 0o7777).toBe(0o751)
    await put(first.id, '/data', 'one', 'changed')
    const second = await start([{ type: 'volume', source: 'shared', target: '/data' }])
    expect(await text(second.id, '/data/one')).toBe('changed')
    expect((await volumes().get('shared')).usedBy).toEqual([first.id, second.id])
  })

  test('not when it is not wanted, and never into a volume that has something', async () => {
    await make([{ type: 'volume', source: 'bare', target: '/data', noCopy: true }])
    expect(readdirSync(await pathOf('bare'))).toEqual([])
    await volumes().create({ name: 'full' })
    writeFileSync(`${await pathOf('full')}/mine`, '')
    await make([{ type: 'volume', source: 'full', target: '/data' }])
    expect(readdirSync(await pathOf('full'))).toEqual(['mine'])
  })

  test('B4: a symlink of the image leads into the image, and no file of the host is read', async () => {
    const secret = `${host.dir}/host-secret`
    mkdirSync(secret)
    writeFileSync(`${secret}/file`, 'secret')
    const links = [
      { name: 'links/abs', type: 'symlink', linkname: secret },
      { name: 'links/up', type: 'symlink', linkname: `../../../../../..${secret}` },
    ] as const
    await image('evil:1', links, ['/links/abs', '/links/up', '../../../etc'])
    const { mounts } = await make([], { image: 'evil:1' })
    expect(mounts.map(({ target }) => target)).toEqual(['/links/abs', '/links/up', '/etc'])
    for (const mount of mounts) expect(readdirSync(mount.hostPath ?? '')).toEqual([])
  })
})

describe('whose volume it is', () => {
  test('a declared volume is anonymous, and goes with its container only when that is wanted', async () => {
    const [kept, gone, automatic] = [await make(), await start(), await start([], { autoRemove: true })]
    expect(await names()).toHaveLength(3)
    for (const { name, anonymous, usedBy } of await volumes().list()) {
      expect(name).toMatch(/^[0-9a-f]{64}$/)
      expect([anonymous, usedBy.length]).toEqual([true, 1])
    }
    await containers().remove(kept.id)
    expect(await names()).toHaveLength(3)
    await containers().remove(gone.id, { force: true, volumes: true })
    expect(await names()).toHaveLength(2)
    const removed = containers().wait(automatic.id, undefined, 'removed')
    await containers().kill(automatic.id)
    await removed
    expect(await names()).toHaveLength(1)
  })

  test('a named one stays, and one that is in use is not removed', async () => {
    const { id } = await make([{ type: 'volume', source: 'named', target: '/data' }])
    await expect(volumes().remove('named')).rejects.toThrow(`remove named: volume is in use - [${id}]`)
    await expect(volumes().remove('named', { force: true })).rejects.toMatchObject({ code: 'volume.in_use' })
    await containers().remove(id, { volumes: true })
    expect(await names()).toEqual(['named'])
    const path = await pathOf('named')
    await volumes().remove('named')
    expect(existsSync(path)).toBe(false)
    await expect(volumes().remove('named')).rejects.toMatchObject({ code: 'volume.not_found' })
    await volumes().remove('named', { force: true })
  })

  test('a prune takes what nobody uses: anonymous ones, or all, by label, and says how many bytes', async () => {
    await volumes().create({ name: 'old', labels: { keep: 'no' } })
    await volumes().create({ name: 'new', labels: { keep: 'yes' } })
    const { name } = await volumes().create({})
    writeFileSync(`${await pathOf(name)}/f`, Buffer.alloc(5_000))
    await make([{ type: 'volume', source: 'busy', target: '/data' }])
    await volumes().create({ name: 'elsewhere', driverOptions: { type: 'tmpfs', device: 'tmpfs' } })
    expect((await volumes().prune({ all: true, only: () => false })).removed).toEqual([])
    expect(await volumes().prune()).toEqual({ removed: [name], reclaimedBytes: 5_000 })
    expect((await volumes().prune({ all: true, labels: { keep: 'no' } })).removed).toEqual(['old'])
    expect((await volumes().prune({ all: true })).removed).toEqual(['new'])
    expect(await names()).toEqual(['busy', 'elsewhere'])
    expect((await host.runtime.diskUsage()).volumes).toEqual([{ name: 'busy', sizeBytes: 2, users: 1 }])
  })

  test('F37: of a hundred at once that make the same name there is one volume', async () => {
    const made = await Promise.allSettled(
      Array.from({ length: 100 }, (_, index) =>
        volumes().create({ name: 'same', driverOptions: { type: 'tmpfs', device: `tmpfs${index % 4}` } }),
      ),
    )
    const codes = made.map((one) => (one.status === 'fulfilled' ? 'made' : one.reason.code))
    expect(codes.filter((code) => code === 'made')).toHaveLength(25)
    expect(new Set(codes)).toEqual(new Set(['made', 'volume.conflict']))
    expect(await names()).toEqual(['same'])
  })

  test('creating it again gives the same one, with other options it is refused', async () => {
    const first = await volumes().create({ name: 'twice', labels: { a: 'b' } })
    expect(await volumes().create({ name: 'twice' })).toEqual(first)
    const driverOptions = { type: 'tmpfs', device: 'tmpfs' }
    await expect(volumes().create({ name: 'twice', driverOptions })).rejects.toMatchObject({
      code: 'volume.conflict',
    })
  })

  test('what happens to them is told', async () => {
    const events: RuntimeEvent[] = []
    const stop = new AbortController()
    const reading = (async () => {
      for await (const event of host.runtime.events({ signal: stop.signal, sinceNanos: 0n }))
        if (event.kind === 'volume') events.push(event)
    })()
    const { id } = await start([{ type: 'volume', source: 'told', target: '/data' }])
    await containers().remove(id, { force: true })
    await volumes().remove('told')
    stop.abort()
    await reading
    expect(events.map(({ action, id }) => `${action} ${id}`)).toEqual([
      ...['create told', 'mount told', 'unmount told', 'destroy told'],
    ])
  })
})

describe('binds', () => {
  test('a missing source is made, or refused in docker’s words, and its loss is found at the start', async () => {
    const source = `${host.dir}/made/for/it`
    const refused = make([{ type: 'bind', source, target: '/x' }])
    await expect(refused).rejects.toThrow(
      `invalid mount config for type "bind": bind source path does not exist: ${source}`,
    )
    expect(await names()).toEqual([])
    await start([{ type: 'bind', source, target: '/x', createSource: true }])
    expect(existsSync(source)).toBe(true)
    const { id } = await make([{ type: 'bind', source, target: '/x' }])
    rmSync(source, { recursive: true })
    await expect(containers().start(id)).rejects.toThrow('bind source path does not exist')
  })

  test('E5: nothing of the runtime’s own is given to a container, by no name for it', async () => {
    const { root, runRoot } = host.options
    symlinkSync(root, `${host.dir}/alias`)
    for (const source of [root, runRoot, `${root}/volumes`, `${host.dir}/alias/volumes`, `${root}/../root`])
      await expect(make([{ type: 'bind', source, target: '/x' }])).rejects.toMatchObject({
        code: 'container.mount_refused',
      })
    const inside = `${root}/volumes/new`
    await expect(make([{ type: 'bind', source: inside, target: '/x', createSource: true }])).rejects.toThrow()
    expect(existsSync(inside)).toBe(false)
  })
})

describe('a bind’s source that changes', () => {
  test('E4: what has become a way into the runtime’s own directory is refused at the start', async () => {
    const source = `${host.dir}/theirs`
    mkdirSync(source)
    const { id } = await make([{ type: 'bind', source, target: '/x' }])
    rmSync(source, { recursive: true })
    symlinkSync(`${host.options.root}/volumes`, source)
    await expect(containers().start(id)).rejects.toMatchObject({ code: 'container.mount_refused' })
    expect(mountsBelow(`${host.options.runRoot}/v`)).toEqual([])
  })

  test('E4: while somebody swaps it as fast as they can, no container ever gets the runtime’s own', async () => {
    const [good, link] = [`${host.dir}/good`, `${host.dir}/link`]
    mkdirSync(good)
    writeFileSync(`${good}/good`, '')
    symlinkSync(good, link)
    const swapper = startSwapper(
      'const [at, ...all] = args; for (const to of all) { fs.symlinkSync(to, at + ".n"); fs.renameSync(at + ".n", at) }',
      ...[link, good, `${host.options.root}/volumes`],
    )
    try {
      let refused = 0
      for (let round = 0; round < 25; round++) {
        const started = await make([{ type: 'bind', source: link, target: '/x' }])
          .then(({ id }) => containers().start(id))
          .catch(() => undefined)
        if (!started) refused += 1
        else expect((await containers().files.stat(started.id, '/x/good')).sizeBytes).toBe(0)
      }
      expect(refused).toBeLessThan(25)
    } finally {
      await swapper.stop()
    }
  })

  test('a file, a socket of the host and the engine’s own socket are given as they are', async () => {
    writeFileSync(`${host.dir}/file`, 'text')
    const socket = `${host.options.runRoot}/docker.sock`
    const server = createServer().listen(socket)
    const { id } = await start([
      { type: 'bind', source: `${host.dir}/file`, target: '/etc/given' },
      { type: 'bind', source: socket, target: '/run/docker.sock' },
    ])
    expect(await text(id, '/etc/given')).toBe('text')
    const S_IFSOCK = 0o140000
    expect((await containers().files.stat(id, '/run/docker.sock')).mode & 0o170000).toBe(S_IFSOCK)
    expect(mountsBelow(`${host.options.runRoot}/v`)).toEqual([])
    expect(readdirSync(`${host.options.runRoot}/v`)).toEqual([])
    server.close()
  })
})

describe('on a host whose mounts are shared', () => {
  /** As every host with systemd is: what is unmounted below a copy of a mount is unmounted below the original too. */
  function shared(): { readonly top: string; readonly below: string; undo(): void } {
    const [top, below] = [`${host.dir}/shared`, `${host.dir}/shared/below`]
    const sh = (script: string) => execFileSync('sh', ['-ec', script, 'sh', top, below])
    mkdirSync(top)
    sh(
      'mount -t tmpfs top "$1"; mount --make-shared "$1"; mkdir "$2"; mount -t tmpfs below "$2"; echo > "$2/kept"',
    )
    return { top, below, undo: () => void sh('umount -l "$2" 2>/dev/null || true; umount -l "$1"') }
  }

  test('what is mounted below a bind, a bind volume or a subpath stays mounted when they go', async () => {
    const { top, below, undo } = shared()
    try {
      const driverOptions = { type: 'none', o: 'rbind', device: top }
      await volumes().create({ name: 'bound', driverOptions })
      const { id } = await start([
        { type: 'bind', source: top, target: '/a', propagation: 'rshared' },
        { type: 'volume', source: 'bound', target: '/b' },
        { type: 'volume', source: 'bound', target: '/c', subpath: 'below' },
      ])
      for (const place of ['/a/below/kept', '/b/below/kept', '/c/kept'])
        expect((await containers().files.stat(id, place)).sizeBytes).toBe(1)
      expect(existsSync(`${below}/kept`)).toBe(true)
      // Of a bind that shares its mounts, later ones are seen inside.
      execFileSync('sh', ['-ec', 'mkdir "$1"; mount -t tmpfs late "$1"; echo > "$1/f"', 'sh', `${top}/late`])
      expect((await containers().files.stat(id, '/a/late/f')).sizeBytes).toBe(1)
      await host.reopen()
      expect((await containers().files.stat(id, '/b/below/kept')).sizeBytes).toBe(1)
      await host.runtime.close()
      await purgeHost({ ...host.options, keepData: true })
      await host.reopen()
      expect(existsSync(`${below}/kept`)).toBe(true)
      await containers().remove(id, { force: true })
      await volumes().remove('bound')
      expect([existsSync(`${below}/kept`), existsSync(`${top}/late/f`)]).toEqual([true, true])
      expect(mountsBelow(host.options.runRoot)).toEqual([])
      execFileSync('umount', [`${top}/late`])
    } finally {
      undo()
    }
  })
})

describe('subpaths', () => {
  test('a directory of a volume is mounted, to read and write, and unmounted after the run', async () => {
    await volumes().create({ name: 'tree' })
    mkdirSync(`${await pathOf('tree')}/a/b`, { recursive: true })
    const { id } = await start([{ type: 'volume', source: 'tree', target: '/x', subpath: 'a/b' }])
    await put(id, '/x', 'f', 'deep')
    expect(readFileSync(`${await pathOf('tree')}/a/b/f`, 'utf8')).toBe('deep')
    await containers().stop(id, { timeoutMs: 0 })
    expect(await text(id, '/x/f')).toBe('deep')
    await containers().remove(id)
    expect(mountsBelow(`${host.options.runRoot}/v`)).toEqual([])
  })

  test('E4: a subpath that is missing or leads out is refused, a symlink on the way too when it does', async () => {
    await volumes().create({ name: 'tree' })
    const secret = `${host.dir}/host-secret`
    mkdirSync(secret)
    const path = await pathOf('tree')
    symlinkSync(secret, `${path}/abs`)
    symlinkSync(`../../../../../../../..${secret}`, `${path}/up`)
    symlinkSync('/proc/self/root', `${path}/magic`)
    const tried = async (subpath: string) => {
      const { id } = await make([{ type: 'volume', source: 'tree', target: '/x', subpath }])
      return containers().start(id)
    }
    await expect(tried('nope')).rejects.toThrow('volume subpath nope does not exist')
    for (const subpath of ['abs', 'up', 'magic', 'magic/tmp'])
      await expect(tried(subpath)).rejects.toThrow('leads out of the volume')
    await expect(tried('../../..')).rejects.toMatchObject({ code: 'container.spec_invalid' })
    expect(mountsBelow(`${host.options.runRoot}/v`)).toEqual([])
  })
})

describe('driver options', () => {
  test('a tmpfs volume is mounted while somebody runs with it, shared, and unmounted after the last', async () => {
    const driverOptions = { type: 'tmpfs', device: 'tmpfs', o: 'size=1m' }
    await volumes().create({ name: 'memory', driverOptions })
    const mount = { type: 'volume', source: 'memory', target: '/m' } as const
    const [one, two] = [await start([mount]), await start([mount])]
    await put(one.id, '/m', 'f', 'shared')
    expect(await text(two.id, '/m/f')).toBe('shared')
    const path = await pathOf('memory')
    await containers().stop(one.id, { timeoutMs: 0 })
    await containers().remove(one.id)
    expect(mountsBelow(path)).toEqual([path])
    await containers().remove(two.id, { force: true })
    expect(mountsBelow(path)).toEqual([])
  })

  test('the directory behind a bind volume outlives the volume; one that is gone is named at the start', async () => {
    const device = `${host.dir}/behind`
    mkdirSync(device)
    await volumes().create({ name: 'behind', driverOptions: { type: 'none', o: 'bind', device } })
    const { id } = await start([{ type: 'volume', source: 'behind', target: '/b' }])
    await put(id, '/b', 'f', 'outside')
    await containers().remove(id, { force: true })
    await volumes().remove('behind')
    expect(readFileSync(`${device}/f`, 'utf8')).toBe('outside')
    const driverOptions = { type: 'none', o: 'bind', device: `${device}/gone` }
    await volumes().create({ name: 'broken', driverOptions })
    await expect(start([{ type: 'volume', source: 'broken', target: '/b' }])).rejects.toThrow(
      `${device}/gone`,
    )
  })

  test('E4: names and options that are none are refused, also in a container’s spec', async () => {
    await expect(volumes().create({ name: '../x' })).rejects.toMatchObject({ code: 'volume.name_invalid' })
    await expect(make([{ type: 'volume', source: '../x', target: '/x' }])).rejects.toMatchObject({
      code: 'volume.name_invalid',
    })
    await expect(volumes().create({ name: 'xx', driverOptions: { foo: 'bar' } })).rejects.toThrow(
      'invalid option: "foo"',
    )
    expect(await names()).toEqual([])
  })
})

describe('after a crash', () => {
  test.each(['container.create.after_row', 'container.create.after_volume', 'container.create.after_mounts'])(
    'at %s no volume of the container stays, and no container',
    async (point) => {
      await host.runtime.close()
      const spec = { name: 'crashed', image: 'tiny:1', network: 'none' }
      const { logger: _, ...options } = host.options
      const child = spawnRuntime({ options, calls: [['containers', 'create', spec]] }, `${point}=kill`)
      expect((await child.ended).signal).toBe('SIGKILL')
      const again = await openRuntime(host.options)
      try {
        expect(await again.volumes.list()).toEqual([])
        expect(await again.containers.list()).toEqual([])
        expect(readdirSync(`${host.options.root}/volumes`)).toEqual([])
      } finally {
        await again.close()
      }
    },
  )
})
