import { execFileSync } from 'node:child_process'
import {
  createReadStream,
  createWriteStream,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { digestOf } from '@berth/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ImageRecord, RuntimeEvent } from '../api.js'
import { buildTinyImage, openTestRuntime, type TarEntry, type TestRuntime, tarOf } from '../testing/index.js'

let host: TestRuntime
beforeEach(async () => {
  host = await openTestRuntime()
})
afterEach(() => host.dispose())
const images = () => host.runtime.images

const blobs = () => readdirSync(`${host.options.root}/content/blobs/sha256`)
function expectEmptyStore(): void {
  expect(blobs()).toEqual([])
  expect(readdirSync(`${host.options.root}/content/ingest`)).toEqual([])
  expect(readdirSync(`${host.options.root}/l`)).toEqual([])
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
const importOf = (entries: readonly TarEntry[], options: { reference?: string; changes?: string[] } = {}) =>
  images().import(once(tarOf(entries)), options)

async function saved(...references: string[]): Promise<string> {
  const path = `${host.dir}/saved.tar`
  await pipeline(await images().save(references), createWriteStream(path))
  return path
}

describe('names', () => {
  test('a tag that moves leaves the old image dangling, and short ids, digests and names all find it', async () => {
    const first = await importOf([{ name: 'a', body: '1' }], { reference: 'app' })
    const second = await importOf([{ name: 'a', body: '2' }], { reference: 'app:latest' })
    expect((await images().get('app')).id).toBe(second.id)
    expect(await images().get(first.id)).toMatchObject({ references: [], repositoryDigests: [] })
    expect((await images().list()).map(({ id }) => id).sort()).toEqual([first.id, second.id].sort())
    const hex = second.id.slice('sha256:'.length)
    for (const name of [
      hex.slice(0, 12),
      hex,
      `sha256:${hex.slice(0, 6)}`,
      second.manifestDigest,
      `app@${second.manifestDigest}`,
    ])
      expect((await images().get(name)).id).toBe(second.id)
    await expect(images().get('other')).rejects.toMatchObject({ code: 'image.not_found' })
    await expect(images().tag('app', `app@${second.manifestDigest}`)).rejects.toMatchObject({
      code: 'image.reference_invalid',
    })
  })

  test('what is removed is told in order, with events, and nothing of it stays', async () => {
    const image = await importOf([{ name: 'a', body: '1' }], { reference: 'app' })
    await images().tag('app', 'app:2')
    const stop = new AbortController()
    const events = host.runtime.events(stop.signal)
    expect(await images().remove('app:2')).toEqual([{ untagged: 'docker.io/library/app:2' }])
    expect(await images().remove(image.id.slice(7, 19))).toEqual([
      { untagged: 'docker.io/library/app:latest' },
      { deleted: image.id },
      { deleted: image.diffIds[0] },
    ])
    stop.abort()
    const seen: RuntimeEvent[] = []
    for await (const event of events) seen.push(event)
    expect(seen.map(({ action, id }) => [action, id])).toEqual([
      ['untag', image.id],
      ['untag', image.id],
      ['delete', image.id],
    ])
    expect(await images().remove(image.id)).toEqual([])
    expectEmptyStore()
  })

  test('an image that a stopped container needs can be taken by force, and the container starts again', async () => {
    await buildTinyImage(host.runtime, { lines: ['CMD ["true"]'] })
    const { containers } = host.runtime
    const container = await containers.create({ name: 'c', image: 'tiny:1', network: 'none' })
    await expect(images().remove('tiny:1')).rejects.toMatchObject({ code: 'image.in_use' })
    await images().remove('tiny:1', { force: true })
    expect(await images().list()).toEqual([])
    await containers.start(container.id)
    expect(await containers.wait(container.id)).toMatchObject({ code: 0 })
    await containers.remove(container.id)
    expect((await images().prune()).removed.length).toBeGreaterThan(0)
    expectEmptyStore()
  })

  test('a prune takes what has no name and no container, and says what it freed', async () => {
    await importOf([{ name: 'a', body: 'x'.repeat(5_000) }])
    const kept = await importOf([{ name: 'b', body: '2' }], { reference: 'kept' })
    const pruned = await images().prune()
    expect(pruned.reclaimedBytes).toBeGreaterThanOrEqual(5_000)
    expect((await images().list()).map(({ id }) => id)).toEqual([kept.id])
    await images().prune({ all: true })
    expectEmptyStore()
  })
})

test('an imported root has its changes, its comment in the history, and runs', async () => {
  const busybox = {
    name: 'bin/busybox',
    body: readFileSync('/bin/busybox'),
    mode: 0o755,
  }
  const changes = ['ENV A=1', 'ENTRYPOINT ["/bin/busybox", "true"]', 'LABEL berth.x=no y=yes']
  const tar = tarOf([busybox])
  const image = await images().import(once(gzipSync(tar)), { reference: 'root:1', changes })
  expect(image).toMatchObject({
    config: { env: ['A=1'], labels: { y: 'yes' } },
    diffIds: [digestOf(tar)],
    comment: 'Imported from -',
  })
  expect(image.sizeBytes).toBe(busybox.body.length)
  expect(await images().history('root:1')).toMatchObject([
    { comment: 'Imported from -', sizeBytes: image.sizeBytes, imageId: image.id },
  ])
  const container = await host.runtime.containers.create({ name: 'c', image: 'root:1', network: 'none' })
  await host.runtime.containers.start(container.id)
  expect(await host.runtime.containers.wait(container.id)).toMatchObject({ code: 0 })
})

describe('save and load', () => {
  const both = async (): Promise<ImageRecord[]> => [
    await buildTinyImage(host.runtime),
    await importOf([{ name: 'etc/x', body: 'y'.repeat(3_000) }], {
      reference: 'ghcr.io/a/b:2',
      changes: ['CMD ["x"]'],
    }),
  ]

  test.each([
    ['plain', (path: string) => path],
    ['gzip', (path: string) => written(`${path}.gz`, gzipSync(readFileSync(path)))],
    ['zstd', (path: string) => written(`${path}.zst`, zstdCompressSync(readFileSync(path)))],
  ])('a %s archive brings the same images back', async (_name, pack) => {
    const made = await both()
    const path = pack(await saved('tiny:1', 'ghcr.io/a/b:2'))
    await images().prune({ all: true })
    expectEmptyStore()
    const loaded = await images().load(createReadStream(path))
    const without = ({ taggedAt: _, ...image }: ImageRecord) => image
    expect(loaded.map(without)).toEqual(made.map(without))
    expect(await images().check()).toEqual([])
    expect((await images().load(createReadStream(path))).map(({ id }) => id)).toEqual(
      made.map(({ id }) => id),
    )
  })

  test('skopeo reads it as docker-archive and as oci-archive, and we read what skopeo writes', async () => {
    const [tiny] = await both()
    const path = await saved('tiny:1')
    for (const kind of ['docker-archive', 'oci-archive']) {
      const target = `${host.dir}/${kind}.tar`
      const copy = [
        'copy',
        '--insecure-policy',
        '-q',
        `${kind}:${path}`,
        `${kind}:${target}:copied/${kind}:1`,
      ]
      execFileSync('skopeo', copy)
      const [image] = await images().load(createReadStream(target))
      expect(image).toMatchObject({ diffIds: tiny?.diffIds })
      expect(image?.references.some((name) => name.includes('copied/'))).toBe(true)
    }
  })

  test('a load that is given up leaves nothing', async () => {
    await both()
    const path = await saved('tiny:1')
    await images().prune({ all: true })
    const stop = new AbortController()
    const archive = createReadStream(path, { highWaterMark: 4_096 })
    archive.once('data', () => stop.abort())
    await expect(images().load(archive, { signal: stop.signal })).rejects.toMatchObject({ code: 'cancelled' })
    expectEmptyStore()
  })
})

function written(path: string, bytes: Uint8Array): string {
  writeFileSync(path, bytes)
  return path
}

describe('A10: archives that attack', () => {
  const layer = tarOf([{ name: 'a', body: 'x' }])
  const config = JSON.stringify({
    os: 'linux',
    architecture: 'amd64',
    rootfs: { diff_ids: [digestOf(layer)] },
  })
  const manifest = (more: object = {}) =>
    JSON.stringify([{ Config: 'c.json', Layers: ['l/layer.tar'], RepoTags: ['evil:1'], ...more }])
  const good: TarEntry[] = [
    { name: 'c.json', body: config },
    { name: 'l/layer.tar', body: layer },
    { name: 'manifest.json', body: manifest() },
  ]
  const without = (name: string) => good.filter((entry) => entry.name !== name)

  test('the one they are made of is a good one', async () => {
    expect(await images().load(once(tarOf(good)))).toMatchObject([
      { references: ['docker.io/library/evil:1'] },
    ])
  })

  test('a layer that is a link to another of the archive is taken, as old docker writes it', async () => {
    const twice = { ...JSON.parse(config), rootfs: { diff_ids: [digestOf(layer), digestOf(layer)] } }
    const entries: TarEntry[] = [
      { name: 'c.json', body: JSON.stringify(twice) },
      { name: 'l/layer.tar', body: layer },
      { name: 'm/layer.tar', type: 'symlink', linkname: '../l/layer.tar' },
      { name: 'manifest.json', body: manifest({ Layers: ['l/layer.tar', 'm/layer.tar'] }) },
    ]
    expect(await images().load(once(tarOf(entries)))).toMatchObject([
      { diffIds: [digestOf(layer), digestOf(layer)] },
    ])
  })

  test.each<[string, Buffer]>([
    ['no archive at all', Buffer.from('x'.repeat(5_000))],
    ['nothing', Buffer.alloc(0)],
    ['an empty archive', tarOf([])],
    [
      'a symlinked manifest.json',
      tarOf([
        ...without('manifest.json'),
        { name: 'manifest.json', type: 'symlink', linkname: '/etc/passwd' },
      ]),
    ],
    [
      'a manifest.json linked inside',
      tarOf([
        ...without('manifest.json'),
        { name: 'x', body: manifest() },
        { name: 'manifest.json', type: 'symlink', linkname: 'x' },
      ]),
    ],
    ['a name that climbs out', tarOf([...good, { name: '../evil', body: 'x' }])],
    ['an absolute name', tarOf([...good, { name: '/etc/evil', body: 'x' }])],
    [
      'a link that climbs out',
      tarOf([...good, { name: 'x', type: 'symlink', linkname: '../../etc/passwd' }]),
    ],
    [
      'an absolute layer',
      tarOf([
        ...without('manifest.json'),
        { name: 'manifest.json', body: manifest({ Layers: ['/etc/passwd'] }) },
      ]),
    ],
    [
      'a climbing layer',
      tarOf([
        ...without('manifest.json'),
        { name: 'manifest.json', body: manifest({ Layers: ['../l/layer.tar'] }) },
      ]),
    ],
    ['a layer that is missing', tarOf(without('l/layer.tar'))],
    [
      'a layer that is no archive',
      tarOf([...without('l/layer.tar'), { name: 'l/layer.tar', body: 'words' }]),
    ],
    ['a config that is missing', tarOf(without('c.json'))],
    [
      'a huge manifest.json',
      tarOf([...without('manifest.json'), { name: 'manifest.json', body: `[${' '.repeat(5_000_000)}]` }]),
    ],
    ['a name twice', tarOf([...good, { name: 'c.json', body: '{}' }])],
    ['a device', tarOf([...good, { name: 'd', type: 'char', major: 1, minor: 3 }])],
    ['a cut end', tarOf(good).subarray(0, 3_000)],
    [
      'too many layers',
      tarOf([
        ...without('manifest.json'),
        {
          name: 'manifest.json',
          body: manifest({ Layers: Array.from({ length: 200 }, () => 'l/layer.tar') }),
        },
      ]),
    ],
  ])('%s is refused and leaves nothing', async (_name, bytes) => {
    await expect(images().load(once(bytes))).rejects.toMatchObject({ code: 'archive.invalid' })
    expect(await images().list()).toEqual([])
    expectEmptyStore()
  })

  test('a layer that is another than the config says, and a hostile layer, are refused and leave nothing', async () => {
    const other = tarOf([{ name: 'b' }])
    await expect(
      images().load(once(tarOf([...without('l/layer.tar'), { name: 'l/layer.tar', body: other }]))),
    ).rejects.toMatchObject({ code: 'image.diff_id_mismatch' })
    const evil = tarOf([{ name: '../../evil', body: 'x' }])
    await expect(
      images().load(once(tarOf([...without('l/layer.tar'), { name: 'l/layer.tar', body: evil }]))),
    ).rejects.toMatchObject({ code: 'image.layer_invalid' })
    expectEmptyStore()
  })
})

describe('F30: damage at rest', () => {
  test('a changed and a missing blob and a lost layer are found, put aside, and mended by the next load', async () => {
    await buildTinyImage(host.runtime)
    const path = await saved('tiny:1')
    const [layer] = readdirSync(`${host.options.root}/l`)
    rmSync(`${host.options.root}/l/${layer}`, { recursive: true })
    const biggest = blobs()
      .map((name) => ({ name, size: statSync(`${host.options.root}/content/blobs/sha256/${name}`).size }))
      .sort((a, b) => b.size - a.size)[0]
    const file = `${host.options.root}/content/blobs/sha256/${biggest?.name}`
    writeFileSync(file, 'damaged')
    const damaged = await images().check()
    expect(damaged).toEqual([{ digest: `sha256:${biggest?.name}`, images: ['docker.io/library/tiny:1'] }])
    expect(blobs()).not.toContain(biggest?.name)
    await images().load(createReadStream(path))
    expect(await images().check()).toEqual([])
    const container = await host.runtime.containers.create({
      name: 'c',
      image: 'tiny:1',
      command: ['true'],
      network: 'none',
    })
    await host.runtime.containers.start(container.id)
    expect(await host.runtime.containers.wait(container.id)).toMatchObject({ code: 0 })
  })
})
