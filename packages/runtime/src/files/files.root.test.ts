import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as passed } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import type { ContainerId } from '@berth/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ContainerSpec } from '../api.js'
import {
  buildTinyImage,
  bytesOf,
  chunksOf,
  entriesOf,
  gzipOf,
  openTestRuntime,
  type TestRuntime,
  tarOf,
  until,
  zstdOf,
} from '../testing/index.js'

let host: TestRuntime
let number = 0

beforeAll(async () => {
  host = await openTestRuntime()
  // A remapped root must be able to reach its own.
  chmodSync(host.dir, 0o711)
  await buildTinyImage(host.runtime, {
    files: { 'etc/f': 'text', 'etc/sub/g': 'g', 'gone/a': 'a', 'gone/b': 'b' },
    links: { 'l/link': 'etc', 'etc/up': '/etc/f', 'l/loop': 'loop' },
    lines: ['COPY etc /etc/', 'COPY gone /gone/', 'COPY l /', 'CMD ["sleep","1000"]'],
  })
})
afterAll(() => host.dispose())

const files = () => host.runtime.containers.files
const make = async (spec: Partial<ContainerSpec> = {}): Promise<ContainerId> =>
  (await host.runtime.containers.create({ name: `c${number++}`, image: 'tiny:1', network: 'none', ...spec }))
    .id
const start = async (spec: Partial<ContainerSpec> = {}): Promise<ContainerId> => {
  const id = await make(spec)
  await host.runtime.containers.start(id)
  return id
}
const names = async (id: ContainerId, path: string) =>
  entriesOf(await bytesOf((await files().copyOut(id, path)).archive)).map(({ header }) => header.name)
const text = async (id: ContainerId, path: string) =>
  entriesOf(await bytesOf((await files().copyOut(id, path)).archive))[0]?.body

describe.each(['created', 'running'])('a %s container', (state) => {
  const put = (spec?: Partial<ContainerSpec>) => (state === 'running' ? start(spec) : make(spec))

  test('a path is followed at its end only when it ends in a slash, as docker has it', async () => {
    const id = await put()
    expect(await files().stat(id, '/link')).toMatchObject({ name: 'link', linkTarget: '/etc', sizeBytes: 3 })
    expect((await files().stat(id, '/link')).mode & 0o170000).toBe(0o120000)
    expect(await files().stat(id, '/link/')).toMatchObject({ name: 'link', linkTarget: '' })
    expect(await files().stat(id, '/link/.')).toMatchObject({ name: '.' })
    expect(await files().stat(id, '/')).toMatchObject({ name: '/' })
    expect(await files().stat(id, '/link/up')).toMatchObject({ name: 'up', linkTarget: '/etc/f' })
    expect((await names(id, '/link')).join()).toBe('link')
    expect((await names(id, '/link/'))[0]).toBe('link/')
    expect((await names(id, '/link/.')).slice(0, 2)).toEqual(['./', './f'])
    expect((await names(id, '/')).slice(0, 2)).toEqual(['/', '/bin/'])
    expect(await text(id, '/link/f')).toBe('text')
  })

  test('what is not there, is no directory or is a loop is said to be so', async () => {
    const id = await put()
    await expect(files().stat(id, '/nope')).rejects.toMatchObject({ code: 'file.not_found' })
    await expect(files().copyOut(id, '/link/nope')).rejects.toMatchObject({ code: 'file.not_found' })
    await expect(files().stat(id, '/etc/f/')).rejects.toMatchObject({ code: 'file.not_a_directory' })
    await expect(files().stat(id, '/loop/x')).rejects.toMatchObject({ code: 'file.path_refused' })
    const into = (path: string) => files().copyIn(id, path, chunksOf(tarOf([{ name: 'x' }])))
    await expect(into('/etc/f')).rejects.toThrow('extraction point is not a directory')
    await expect(into('/nope')).rejects.toMatchObject({ code: 'file.not_found' })
  })

  test.each([
    ['plain', tarOf],
    ['gzip', gzipOf],
    ['zstd', zstdOf],
  ])('a %s archive is unpacked where a symlink leads', async (_, pack) => {
    const id = await put()
    await files().copyIn(id, '/link', chunksOf(pack([{ name: 'new/file', body: 'in' }])))
    expect(await text(id, '/etc/new/file')).toBe('in')
  })

  test('owners are kept when that is wanted, and root’s otherwise', async () => {
    const id = await put()
    const archive = tarOf([
      { name: 'd', type: 'directory', uid: 7, gid: 8 },
      { name: 'd/f', uid: 5, gid: 6 },
    ])
    const owners = async (path: string) =>
      entriesOf(await bytesOf((await files().copyOut(id, path)).archive)).map(
        ({ header }) => `${header.uid}:${header.gid}`,
      )
    await files().copyIn(id, '/etc', chunksOf(archive), { copyOwners: true })
    expect(await owners('/etc/d')).toEqual(['7:8', '5:6'])
    await files().copyIn(id, '/etc', chunksOf(archive))
    expect(await owners('/etc/d')).toEqual(['0:0', '0:0'])
  })

  test('a directory replaces a file and a file a directory, unless that is forbidden', async () => {
    const id = await put()
    const careful = { noOverwriteDirNonDir: true }
    const asFile = tarOf([{ name: 'sub', body: 'now a file' }])
    const asDirectory = tarOf([{ name: 'f', type: 'directory' }])
    const refused = { code: 'file.overwrite_refused' }
    await expect(files().copyIn(id, '/etc', chunksOf(asFile), careful)).rejects.toMatchObject(refused)
    await expect(files().copyIn(id, '/etc', chunksOf(asDirectory), careful)).rejects.toMatchObject(refused)
    expect(await text(id, '/etc/sub/g')).toBe('g')
    await files().copyIn(id, '/etc', chunksOf(asFile))
    expect(await text(id, '/etc/sub')).toBe('now a file')
  })

  test('a read-only root or volume is not written, a writable place in it is', async () => {
    const mounts = [
      { type: 'volume', source: `rw${number}`, target: '/rw' },
      { type: 'volume', source: `ro${number}`, target: '/ro', readOnly: true },
    ] as const
    const id = await put({ readOnlyRootfs: true, mounts })
    const into = (path: string) => files().copyIn(id, path, chunksOf(tarOf([{ name: 'x', body: 'in' }])))
    await expect(into('/etc')).rejects.toThrow('container rootfs is marked read-only')
    await expect(into('/ro')).rejects.toThrow('mounted volume is marked read-only')
    await into('/rw')
    expect(await text(id, '/rw/x')).toBe('in')
  })

  test('files that are mounted one by one are written, not replaced', async () => {
    const source = `${host.dir}/one-${number}`
    writeFileSync(source, 'before')
    const id = await put({ mounts: [{ type: 'bind', source, target: '/etc/one' }] })
    await files().copyIn(id, '/etc', chunksOf(tarOf([{ name: 'one', body: 'after' }])))
    expect(await text(id, '/etc/one')).toBe('after')
  })

  test('an archive that is none, or stops in the middle, is refused', async () => {
    const id = await put()
    const refused = { code: 'archive.invalid' }
    const whole = tarOf([{ name: 'x', body: 'y'.repeat(5_000) }])
    for (const bytes of [Buffer.from('junk'), whole.subarray(0, 2_000), gzipSync(whole).subarray(0, 60)])
      await expect(files().copyIn(id, '/etc', chunksOf(bytes))).rejects.toMatchObject(refused)
  })

  test('an archive that its sender gives up leaves the container free', async () => {
    const id = await put()
    const stop = new AbortController()
    async function* endless() {
      yield tarOf([{ name: 'x', body: 'y' }]).subarray(0, 512)
      stop.abort()
      await passed(60_000, undefined, { ref: false })
    }
    await expect(files().copyIn(id, '/etc', endless(), { signal: stop.signal })).rejects.toMatchObject({
      code: 'cancelled',
    })
    await host.runtime.containers.remove(id, { force: true })
  })
})

test('changes are told as docker tells them, and what a start makes is none of them', async () => {
  const script = [
    'rm /etc/f; mkdir -p /new/deep; touch /new/deep/x; chmod 700 /etc/sub',
    'rm -r /gone; mkdir /gone; touch /gone/b /gone/c; ln -s x /newlink; touch /ready; sleep 1000',
  ].join('; ')
  const id = await start({ command: ['sh', '-c', script] })
  await until('the script ran', () =>
    files()
      .stat(id, '/ready')
      .then(
        () => true,
        () => false,
      ),
  )
  expect((await files().diff(id)).map(({ kind, path }) => `${kind[0]} ${path}`)).toEqual([
    'm /etc',
    'd /etc/f',
    'm /etc/sub',
    'm /gone',
    'd /gone/a',
    'm /gone/b',
    'a /gone/c',
    'a /new',
    'a /new/deep',
    'a /new/deep/x',
    'a /newlink',
    'a /ready',
  ])
  expect(await files().diff(await start())).toEqual([])
})

test('an export has the whole root and nothing of what is mounted into it', async () => {
  const mounts = [{ type: 'volume', source: 'exported', target: '/etc/sub' }] as const
  const id = await start({ mounts })
  await files().copyIn(id, '/etc/sub', chunksOf(tarOf([{ name: 'in-volume', body: 'x' }])))
  for (const round of ['running', 'exited']) {
    const found = entriesOf(await bytesOf(await files().export(id))).map(({ header }) => header.name)
    expect(found, round).toContain('etc/sub/g')
    expect(found, round).not.toContain('etc/sub/in-volume')
    expect(found.filter((name) => /^(?:proc|sys|dev)\/./.test(name) || name.startsWith('/'))).toEqual([])
    await host.runtime.containers.stop(id, { timeoutMs: 0 })
  }
})

test('a commit is an image with the changes on top, the same bytes each time', async () => {
  const { containers, images } = host.runtime
  const id = await start()
  await files().copyIn(id, '/etc', chunksOf(tarOf([{ name: 'kept', body: 'kept', mode: 0o4755, uid: 3 }])), {
    copyOwners: true,
  })
  await containers.stop(id, { timeoutMs: 0 })
  const script = 'rm -r /gone; rm /etc/f; mkdir /gone; echo hello > /gone/hello; sleep 1000'
  const other = await start({ command: ['sh', '-c', script] })
  await until('it ran', () =>
    files()
      .stat(other, '/gone/hello')
      .then(
        () => true,
        () => false,
      ),
  )
  const first = await containers.commit(other, { reference: 'committed:1', changes: ['CMD ["sleep", "7"]'] })
  const again = await containers.commit(other, { reference: 'committed:2' })
  expect(first.config.cmd).toEqual(['sleep', '7'])
  expect(first.diffIds).toEqual(again.diffIds)
  expect((await containers.inspect(other)).state).toBe('running')
  const made = await make({ image: 'committed:1' })
  expect(await names(made, '/gone')).toEqual(['gone/', 'gone/hello'])
  expect(await text(made, '/gone/hello')).toBe('hello\n')
  await expect(files().stat(made, '/etc/f')).rejects.toMatchObject({ code: 'file.not_found' })
  const kept = await containers.commit(id, { reference: 'committed:3' })
  const last = await make({ image: 'committed:3' })
  expect((await files().stat(last, '/etc/kept')).mode).toBe(0o104755)
  expect((await images.history(kept.id)).length).toBe((await images.history('tiny:1')).length + 1)
})

test('a remapped container’s files are seen with its own ids', async () => {
  const id = await start({ namespaces: { user: 'remap' } })
  await files().copyIn(id, '/etc', chunksOf(tarOf([{ name: 'mine', body: 'x', uid: 9, gid: 9 }])), {
    copyOwners: true,
  })
  for (const round of ['running', 'exited']) {
    const [entry] = entriesOf(await bytesOf((await files().copyOut(id, '/etc/mine')).archive))
    expect([round, entry?.header.uid, entry?.header.gid]).toEqual([round, 9, 9])
    await host.runtime.containers.stop(id, { timeoutMs: 0 })
  }
})

describe('E8: a hostile container or archive', () => {
  const outside = () => {
    const dir = `${host.dir}/outside-${number++}`
    mkdirSync(dir)
    writeFileSync(`${dir}/secret`, 'untouched')
    return dir
  }

  test.each(['created', 'running'])(
    'names, links and hard links out of the root reach nothing (%s)',
    async (state) => {
      const dir = outside()
      const id = state === 'running' ? await start() : await make()
      const into = (entries: Parameters<typeof tarOf>[0]) =>
        files().copyIn(id, '/etc', chunksOf(tarOf(entries)))
      for (const name of ['../x', 'a/../../x', `../../../../..${dir}/secret`])
        await expect(into([{ name, body: 'evil' }])).rejects.toMatchObject({ code: 'archive.invalid' })
      for (const linkname of ['../../secret', `${dir}/secret`, 'nope'])
        await expect(into([{ name: 'h', type: 'link', linkname }])).rejects.toMatchObject({
          code: 'archive.invalid',
        })
      await into([
        { name: 'out', type: 'symlink', linkname: dir },
        { name: 'up', type: 'symlink', linkname: `../../../../../../..${dir}` },
        { name: '/absolute', body: 'inside' },
      ])
      for (const link of ['out', 'up']) {
        const gone = { code: 'file.not_found' }
        await expect(files().stat(id, `/etc/${link}/secret`)).rejects.toMatchObject(gone)
        await into([{ name: `${link}/secret`, body: 'evil' }]).catch(() => {})
      }
      expect(await text(id, '/etc/absolute')).toBe('inside')
      expect(readFileSync(`${dir}/secret`, 'utf8')).toBe('untouched')
    },
  )

  test('CVE-2018-15664: a path that is swapped for a symlink meanwhile leads nowhere else', async () => {
    const dir = outside()
    const swap = `while true; do mkdir -p /swap${dir}; echo inside > /swap${dir}/secret; rm -rf /swap; ln -s / /swap; rm /swap; done`
    const id = await start({ command: ['sh', '-c', swap] })
    const begun = performance.now()
    let seen = 0
    while (performance.now() - begun < 4_000) {
      await files()
        .copyIn(id, `/swap${dir}`, chunksOf(tarOf([{ name: 'secret', body: 'evil' }])))
        .then(
          () => seen++,
          () => {},
        )
      const found = await files()
        .copyOut(id, `/swap${dir}/secret`)
        .then(
          ({ archive }) => bytesOf(archive),
          () => undefined,
        )
      if (found) expect(entriesOf(found)[0]?.body).not.toBe('untouched')
    }
    expect(readFileSync(`${dir}/secret`, 'utf8')).toBe('untouched')
    expect(readdirSync(dir)).toEqual(['secret'])
  }, 20_000)

  test('a magic link of /proc is not followed, though the host’s processes are in sight', async () => {
    const dir = outside()
    const id = await start({
      namespaces: { pid: 'host' },
      command: [
        'sh',
        '-c',
        `ln -s /proc/${process.pid}/root /magic; ln -s /proc/${process.pid}/root/tmp /magic2; sleep 1000`,
      ],
    })
    await until('it ran', () =>
      files()
        .stat(id, '/magic2')
        .then(
          () => true,
          () => false,
        ),
    )
    for (const path of [
      '/magic/',
      `/magic${dir}/secret`,
      `/proc/${process.pid}/root${dir}/secret`,
      '/magic2/.',
    ]) {
      await expect(files().copyOut(id, path)).rejects.toMatchObject({ code: 'file.path_refused' })
      await expect(
        files().copyIn(id, path, chunksOf(tarOf([{ name: 'x', body: 'evil' }]))),
      ).rejects.toMatchObject({ code: 'file.path_refused' })
    }
    await expect(
      files().copyIn(id, '/', chunksOf(tarOf([{ name: `magic${dir}/secret`, body: 'evil' }]))),
    ).rejects.toMatchObject({ code: 'file.path_refused' })
  })

  test('CVE-2019-14271: no program or library of the container runs for an archive, not even for one that is compressed', async () => {
    const trap = '#!/bin/sh\ntouch /ran\n'
    const programs = ['xz', 'unxz', 'gzip', 'gunzip', 'unpigz', 'zstd', 'tar', 'node']
    const entries = [
      ...programs.flatMap((name) => ['bin', 'usr/bin', 'usr/local/bin'].map((at) => `${at}/${name}`)),
      'lib/x86_64-linux-gnu/libnss_files.so.2',
      'etc/ld.so.preload',
    ].map((name) => ({ name, body: trap, mode: 0o755 }))
    const id = await start()
    await files().copyIn(id, '/', chunksOf(tarOf(entries)))
    await files().copyIn(id, '/', chunksOf(gzipOf([{ name: 'ok', body: 'x' }])))
    const xz = Buffer.from('fd377a585a000004e6d6b4460200210116000000', 'hex')
    await expect(files().copyIn(id, '/', chunksOf(xz))).rejects.toMatchObject({ code: 'archive.invalid' })
    await bytesOf((await files().copyOut(id, '/')).archive)
    await expect(files().stat(id, '/ran')).rejects.toMatchObject({ code: 'file.not_found' })
  })

  test('a fifo or device that is in the way neither blocks nor is opened', async () => {
    const id = await make()
    await files().copyIn(
      id,
      '/etc',
      chunksOf(
        tarOf([
          { name: 'fifo', type: 'fifo' },
          { name: 'null', type: 'char', major: 1, minor: 3 },
        ]),
      ),
    )
    expect((await names(id, '/etc')).filter((name) => /fifo|null/.test(name))).toEqual([
      'etc/fifo',
      'etc/null',
    ])
    await files().copyIn(id, '/etc', chunksOf(tarOf([{ name: 'fifo', body: 'now a file' }])))
    expect(await text(id, '/etc/fifo')).toBe('now a file')
  })
})
