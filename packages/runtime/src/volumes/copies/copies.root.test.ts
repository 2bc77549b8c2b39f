import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { VolumeChunk, VolumeExport } from '../../api.js'
import { writeXattr } from '../../host/confined.js'
import { describeTree } from '../../testing/describe-tree.js'
import {
  openTestRuntime,
  chunksOf as piecesOf,
  spawnRuntime,
  type TestRuntime,
  tarOf,
  until,
} from '../../testing/index.js'
import { startSwapper } from '../../testing/swapper.js'
import { decodeExport, encodeExport } from './frames.js'

let host: TestRuntime
const MIB = 1024 * 1024

beforeEach(async () => {
  host = await openTestRuntime()
})
afterEach(() => host.dispose())

const volumes = () => host.runtime.volumes
const pathOf = async (name: string) => (await volumes().get(name)).mountpoint
const sh = (script: string, cwd: string) =>
  execFileSync('sh', ['-ec', script], { cwd, stdio: 'pipe' }).toString()

/** A volume with one of everything that a file system has. */
async function makeRich(name = 'rich'): Promise<string> {
  await volumes().create({ name, labels: { tier: 'db' } })
  const path = await pathOf(name)
  mkdirSync(`${path}/dir/${'long-name-'.repeat(20)}/deeper`, { recursive: true })
  writeFileSync(`${path}/file`, 'content')
  writeFileSync(`${path}/dir/big`, Buffer.alloc(5 * MIB, 'x'))
  linkSync(`${path}/dir/big`, `${path}/another-name`)
  writeFileSync(`${path}/empty`, '')
  writeFileSync(`${path}/setuid`, 'x')
  symlinkSync('/etc/shadow', `${path}/absolute`)
  symlinkSync('../../nowhere', `${path}/dir/dangling`)
  writeFileSync(Buffer.from(`${path}/not-utf8-\xff`, 'latin1'), 'bytes')
  writeFileSync(`${path}/holes`, 'start')
  truncateSync(`${path}/holes`, 64 * MIB)
  sh('mkfifo pipe; mknod null c 1 3; mknod block b 7 99; printf end >> holes; truncate -s 100M holes', path)
  sh('chown 1000:2000 file dir; chown -h 3:4 absolute; chmod 1777 dir; chmod 4755 setuid', path)
  writeXattr(Buffer.from(`${path}/file`), 'user.note', Buffer.from('a\0\xffb', 'latin1'))
  writeXattr(Buffer.from(`${path}/dir`), 'trusted.note', Buffer.from('of root'))
  chmodSync(path, 0o2750)
  utimesSync(`${path}/file`, 1_000_000_000.123, -5.25)
  sh(
    'touch -h -d 2001-02-03T04:05:06.789012345 absolute pipe dir/big; touch -d 1960-01-01T00:00:00.5 dir',
    path,
  )
  return path
}

async function take(source: VolumeExport, count = Number.POSITIVE_INFINITY): Promise<readonly VolumeChunk[]> {
  const taken: VolumeChunk[] = []
  for await (const chunk of source.chunks) {
    taken.push(chunk)
    if (taken.length >= count) break
  }
  return taken
}

const given = (source: VolumeExport, chunks: readonly VolumeChunk[]): VolumeExport => ({
  ...source,
  fromChunk: chunks[0]?.number ?? 0,
  chunks: (async function* () {
    yield* chunks
  })(),
})

describe('clone', () => {
  test('keeps owners, modes, times, attributes, links, holes and special files, and the labels', async () => {
    const path = await makeRich()
    const server = createServer().listen(`${path}/socket`)
    await until('the socket is there', () => existsSync(`${path}/socket`))
    const made = await volumes().clone('rich', 'copy')
    expect(made).toMatchObject({ name: 'copy', labels: { tier: 'db' }, driver: 'local' })
    expect(describeTree(made.mountpoint)).toEqual(describeTree(path))
    expect(statSync(`${made.mountpoint}/holes`).blocks * 512).toBeLessThan(MIB)
    server.close()
    writeFileSync(`${path}/file`, 'changed')
    expect(readFileSync(`${made.mountpoint}/file`, 'utf8')).toBe('content')
  })

  test('a name that is taken, being made or none is refused, and nothing stays', async () => {
    await makeRich()
    await volumes().create({ name: 'taken' })
    await expect(volumes().clone('rich', 'taken')).rejects.toMatchObject({ code: 'volume.conflict' })
    await expect(volumes().clone('rich', '../out')).rejects.toMatchObject({ code: 'volume.name_invalid' })
    await expect(volumes().clone('nobody', 'new')).rejects.toMatchObject({ code: 'volume.not_found' })
    const results = await Promise.allSettled([
      ...Array.from({ length: 8 }, () => volumes().clone('rich', 'once')),
      volumes().create({ name: 'once', driverOptions: { type: 'tmpfs', device: 'tmpfs' } }),
    ])
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect((await volumes().list()).map(({ name }) => name)).toEqual(['once', 'rich', 'taken'])
  })

  test('F37: it is not removed while it is copied', async () => {
    await makeRich()
    const copying = volumes().clone('rich', 'copy')
    await expect(volumes().remove('rich')).rejects.toMatchObject({ code: 'volume.busy' })
    await copying
    await volumes().remove('rich')
  })

  test('E4: a symlink that is swapped for a directory meanwhile is copied as it is, and never followed', async () => {
    await volumes().create({ name: 'race' })
    const path = await pathOf('race')
    const secret = `${host.dir}/secret`
    mkdirSync(secret)
    writeFileSync(`${secret}/key`, 'classified')
    for (let index = 0; index < 40; index++) {
      mkdirSync(`${path}/real${index}`)
      symlinkSync(secret, `${path}/link${index}`)
    }
    const swapper = startSwapper(
      `process.chdir(args[0]); for (let index = 0; index < 40; index++) {
        const [real, link] = ['real' + index, 'link' + index]
        fs.renameSync(real, 'x'); fs.renameSync(link, real); fs.renameSync('x', link)
      }`,
      path,
    )
    try {
      for (let round = 0; round < 5; round++) {
        const { mountpoint } = await volumes().clone('race', `copy${round}`, { consistency: 'live' })
        expect(sh('find . -name key | head -1', mountpoint)).toBe('')
        const chunks = await take(await volumes().export('race', { consistency: 'live' }))
        expect(Buffer.concat(chunks.map(({ bytes }) => bytes)).includes('classified')).toBe(false)
      }
    } finally {
      await swapper.stop()
    }
  })

  test('containers that have it stand still meanwhile, and go on', async () => {
    const busybox = { name: 'bin/busybox', mode: 0o755, body: readFileSync('/bin/busybox') }
    const links = ['sh', 'sleep'].map(
      (name) => ({ name: `bin/${name}`, type: 'symlink', linkname: 'busybox' }) as const,
    )
    await host.runtime.images.import(piecesOf(tarOf([busybox, ...links]), 100_000), { reference: 'tiny:1' })
    const script = 'i=0; while :; do i=$((i+1)); echo $i >> /d/first; echo $i >> /d/second; done'
    const { id } = await host.runtime.containers.create({
      ...{ name: 'writer', image: 'tiny:1', network: 'none', command: ['/bin/sh', '-c', script] },
      mounts: [{ type: 'volume', source: 'pair', target: '/d' }],
    })
    await host.runtime.containers.start(id)
    const path = await pathOf('pair')
    await until('it writes', () => existsSync(`${path}/second`))
    for (let round = 0; round < 5; round++) {
      const { mountpoint } = await volumes().clone('pair', `pair${round}`)
      const [first = 0, second = 0] = ['first', 'second'].map(
        (name) => readFileSync(`${mountpoint}/${name}`, 'utf8').split('\n').length,
      )
      expect(first - second).toBeGreaterThanOrEqual(0)
      expect(first - second).toBeLessThanOrEqual(1)
    }
    expect((await host.runtime.containers.inspect(id)).state).toBe('running')
    const before = statSync(`${path}/first`).size
    await until('it goes on', () => statSync(`${path}/first`).size > before)
  })

  test('a volume with driver options is mounted for it', async () => {
    const device = `${host.dir}/behind`
    mkdirSync(device)
    writeFileSync(`${device}/f`, 'behind')
    await volumes().create({ name: 'bound', driverOptions: { type: 'none', o: 'bind', device } })
    const { mountpoint } = await volumes().clone('bound', 'copy')
    expect(readFileSync(`${mountpoint}/f`, 'utf8')).toBe('behind')
    expect(readdirSync(await pathOf('bound'))).toEqual([])
  })
})

describe('export and import', () => {
  test('give the same tree back, through a stream of bytes', async () => {
    const path = await makeRich()
    const exported = await volumes().export('rich')
    const made = await volumes().import('back', await decodeExport(encodeExport(exported)))
    expect(made.labels).toEqual({ tier: 'db' })
    expect(describeTree(made.mountpoint)).toEqual(describeTree(path))
    expect(statSync(`${made.mountpoint}/holes`).blocks * 512).toBeLessThan(MIB)
    await expect(volumes().export('rich', { id: exported.id })).rejects.toMatchObject({
      code: 'volume.export_not_found',
    })
    expect(readdirSync(`${host.options.root}/volumes/.work/export`)).toEqual([])
    expect(readdirSync(`${host.options.root}/volumes/.work/import`)).toEqual([])
  })

  test('GNU tar reads it, holes too', async () => {
    const path = await makeRich()
    const chunks = await take(await volumes().export('rich'))
    const out = `${host.dir}/untarred`
    mkdirSync(out)
    execFileSync('tar', ['-C', out, '--numeric-owner', '--xattrs', '--xattrs-include=*', '-xpf', '-'], {
      input: Buffer.concat(chunks.map(({ bytes }) => bytes)),
    })
    expect(describeTree(out)).toEqual(describeTree(path))
  })

  test('the same chunks come again from any number on, whatever has become of the volume', async () => {
    const path = await makeRich()
    sh('for i in 1 2 3; do head -c 3M /dev/urandom > random$i; done', path)
    const first = await volumes().export('rich', { keep: true })
    const all = await take(first)
    expect(all.length).toBeGreaterThan(3)
    rmSync(`${path}/random1`)
    for (const fromChunk of [0, 1, 2, all.length - 1]) {
      const again = await take(await volumes().export('rich', { id: first.id, fromChunk, keep: true }))
      expect(again.map(({ digest }) => digest)).toEqual(all.slice(fromChunk).map(({ digest }) => digest))
    }
    await volumes().endExport(first.id)
    await volumes().endExport(first.id)
  })

  test('an import that broke off goes on at the chunk that is missing, also after a restart', async () => {
    const path = await makeRich()
    sh('head -c 9M /dev/urandom > random', path)
    const source = await volumes().export('rich', { keep: true })
    const some = await take(source, 2)
    await expect(volumes().import('back', given(source, some))).rejects.toMatchObject({
      code: 'volume.import_incomplete',
    })
    expect((await volumes().list()).map(({ name }) => name)).toEqual(['rich'])
    await host.reopen()
    const progress = await volumes().importProgress('back')
    expect(progress).toEqual({ exportId: source.id, nextChunk: 2 })
    const rest = await volumes().export('rich', { id: source.id, fromChunk: progress?.nextChunk ?? 0 })
    const made = await volumes().import('back', rest)
    expect(describeTree(made.mountpoint)).toEqual(describeTree(path))
    expect(await volumes().importProgress('back')).toBeUndefined()
  })

  test('F17: a damaged, missing or foreign chunk is refused, and those before it are kept', async () => {
    const path = await makeRich()
    sh('head -c 9M /dev/urandom > random', path)
    const source = await volumes().export('rich', { keep: true })
    const all = await take(source)
    const [one, two, three] = all
    if (!one || !two || !three) throw new Error('three chunks were expected')
    const damaged = { ...two, bytes: Buffer.concat([two.bytes.subarray(1), Buffer.from('!')]) }
    const invalid = { code: 'volume.import_invalid' }
    await expect(volumes().import('back', given(source, [one, damaged]))).rejects.toMatchObject(invalid)
    await expect(volumes().import('back', given(source, [three]))).rejects.toMatchObject(invalid)
    const other = { ...given(source, all.slice(1)), id: 'f'.repeat(32) }
    await expect(volumes().import('back', other)).rejects.toMatchObject(invalid)
    expect(await volumes().importProgress('back')).toEqual({ exportId: source.id, nextChunk: 1 })
    await volumes().import('back', given(source, all.slice(1)))
    expect(describeTree(await pathOf('back'))).toEqual(describeTree(path))
  })

  test('B2: an archive that climbs out, or links out, is refused and makes nothing', async () => {
    const evil = [
      { name: '../evil', body: 'x' },
      { name: 'ok/../../evil', body: 'x' },
      { name: 'link', type: 'symlink', linkname: host.dir } as const,
    ]
    for (const entries of [[evil[0]], [evil[1]], [evil[2], { name: 'link/evil', body: 'x' }]]) {
      const bytes = tarOf(entries.flatMap((entry) => entry ?? []))
      const [chunk] = await takeTar(bytes)
      const source = { id: 'a'.repeat(32), volume: 'x', labels: {}, fromChunk: 0 }
      const evilImport = volumes().import(
        'evil',
        given({ ...source, chunks: piecesNone() }, chunk ? [chunk] : []),
      )
      await expect(evilImport).rejects.toThrow()
      await volumes().abandonImport('evil')
    }
    expect(existsSync(`${host.dir}/evil`)).toBe(false)
    expect(await volumes().list()).toEqual([])
  })
})

async function* piecesNone(): AsyncGenerator<VolumeChunk> {}

async function takeTar(bytes: Buffer): Promise<readonly VolumeChunk[]> {
  const { chunksOf } = await import('./chunks.js')
  const chunks: VolumeChunk[] = []
  for await (const chunk of chunksOf(piecesOf(bytes, 10_000), 0)) chunks.push(chunk)
  return chunks
}

test.each(['kill', 'error'])('a copy that met a %s before it had its row leaves no trace', async (how) => {
  await makeRich()
  await host.runtime.close()
  const { logger: _, ...options } = host.options
  const calls = [['volumes', 'clone', 'rich', 'copy']] as const
  const child = spawnRuntime({ options, calls }, `volume.copy.before_row=${how}`)
  const { signal, answers } = await child.ended
  expect([signal, answers.map(({ code }) => code)]).toEqual(
    how === 'kill' ? ['SIGKILL', []] : [null, ['failpoint.error']],
  )
  await host.reopen()
  expect((await volumes().list()).map(({ name }) => name)).toEqual(['rich'])
  expect(readdirSync(`${host.options.root}/volumes/.work/new`)).toEqual([])
  await volumes().clone('rich', 'copy')
})
