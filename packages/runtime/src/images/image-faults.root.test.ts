import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { digestOf } from '@berth/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MNT_DETACH, umount } from '../host/libc.js'
import { openMetadata } from '../metadata.store.js'
import {
  buildTinyImage,
  openTestRegistry,
  openTestRuntime,
  type TarEntry,
  type TestRegistry,
  type TestRuntime,
  tarOf,
} from '../testing/index.js'

let host: TestRuntime
let registry: TestRegistry
beforeEach(async () => {
  host = await openTestRuntime()
  registry = await openTestRegistry()
})
afterEach(async () => {
  await registry.dispose()
  await host.dispose()
})

const OCI = 'application/vnd.oci.image'
interface Made {
  readonly layers: readonly (readonly TarEntry[])[]
  readonly platform?: { os?: string; architecture?: string; variant?: string }
  readonly layerExtra?: object
}

/** Puts an image into the registry; gives its descriptor. */
function publish(repository: string, tag: string, { layers, platform = {}, layerExtra = {} }: Made) {
  const tars = layers.map(tarOf)
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: 'amd64',
      ...platform,
      rootfs: { diff_ids: tars.map((tar) => digestOf(tar)) },
    }),
  )
  const blobs = tars.map((tar) => gzipSync(tar))
  const manifest = {
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: { mediaType: `${OCI}.config.v1+json`, digest: registry.putBlob(config), size: config.length },
    layers: blobs.map((blob) => ({
      ...{ mediaType: `${OCI}.layer.v1.tar+gzip`, digest: registry.putBlob(blob), size: blob.length },
      ...layerExtra,
    })),
  }
  const digest = registry.putManifest(repository, tag, manifest)
  return {
    mediaType: manifest.mediaType,
    digest,
    size: JSON.stringify(manifest).length,
    platform: { os: 'linux', architecture: 'amd64', ...platform },
  }
}
const file = (name: string, body: string | Uint8Array = 'x'): TarEntry => ({ name, body })

describe('platforms', () => {
  test('of a nested index the entry for the wanted platform is taken, and one that is not there is named', async () => {
    const entries = [
      publish('p', 'a', { layers: [[file('amd64')]] }),
      publish('p', 'b', { layers: [[file('armv6')]], platform: { architecture: 'arm', variant: 'v6' } }),
    ]
    const index = (manifests: object[]) => ({
      schemaVersion: 2,
      mediaType: `${OCI}.index.v1+json`,
      manifests,
    })
    const inner = index(entries)
    const digest = registry.putManifest('p', 'inner', inner, inner.mediaType)
    const outer = index([{ mediaType: inner.mediaType, digest, size: JSON.stringify(inner).length }])
    const top = registry.putManifest('p', 'multi', outer, outer.mediaType)
    const { images } = host.runtime
    const one = await images.pull(`${registry.host}/p:multi`)
    expect(one).toMatchObject({
      manifestDigest: entries[0]?.digest,
      repositoryDigests: [`${registry.host}/p@${top}`],
    })
    expect((await images.get(`${registry.host}/p@${top}`)).id).toBe(one.id)
    const arm = await images.pull(`${registry.host}/p:multi`, { platform: 'linux/arm/v7' })
    expect(arm.platform).toEqual({ os: 'linux', architecture: 'arm', variant: 'v6' })
    expect((await images.get(one.id)).references).toEqual([])
    await expect(images.pull(`${registry.host}/p:multi`, { platform: 's390x' })).rejects.toMatchObject({
      code: 'image.platform_missing',
    })
    await expect(images.pull(`${registry.host}/p:a`, { platform: 'arm64' })).rejects.toMatchObject({
      code: 'image.platform_missing',
    })
  })

  test('B2: an index that leads to itself ends', async () => {
    const self = { schemaVersion: 2, mediaType: `${OCI}.index.v1+json`, manifests: [] as object[] }
    let digest = registry.putManifest('p', 'x0', self, self.mediaType)
    for (let depth = 1; depth < 8; depth++)
      digest = registry.putManifest(
        'p',
        'x',
        { ...self, manifests: [{ mediaType: self.mediaType, digest, size: 2 }] },
        self.mediaType,
      )
    await expect(host.runtime.images.pull(`${registry.host}/p:x`)).rejects.toMatchObject({
      code: 'image.manifest_invalid',
    })
  })
})

test('B10: a foreign layer is asked of its registry, and its urls of nobody', async () => {
  const thief = await openTestRegistry()
  try {
    const layerExtra = {
      mediaType: `${OCI}.layer.nondistributable.v1.tar+gzip`,
      urls: [`http://${thief.host}/x`],
    }
    publish('f', '1', { layers: [[file('a')]], layerExtra })
    await host.runtime.images.pull(`${registry.host}/f:1`)
    expect(thief.requests).toEqual([])
  } finally {
    await thief.dispose()
  }
})

describe('mirrors', () => {
  test('are asked first; what they lack or spoil comes from the registry; credentials go to the registry alone', async () => {
    const mirror = await openTestRegistry()
    try {
      publish('m', '1', { layers: [[file('a', 'y'.repeat(9_000))]] })
      const access = { mirrors: [`http://${mirror.host}`], username: 'u', password: 'p' }
      const runtime = await host.reopen({ registries: { [registry.host]: access } })
      const image = await runtime.images.pull(`${registry.host}/m:1`)
      expect(mirror.requests.length).toBeGreaterThan(0)
      for (const digest of [image.id, image.manifestDigest]) {
        const bytes = registry.readBlob(digest)
        if (bytes) mirror.putBlob(bytes)
      }
      await runtime.images.remove(image.id)
      mirror.putManifest('m', '1', JSON.parse(registry.readManifest('m', '1')?.toString() ?? ''))
      mirror.misbehave({ wrongBytes: true })
      expect((await runtime.images.pull(`${registry.host}/m:1`)).id).toBe(image.id)
      expect(await runtime.images.check()).toEqual([])
      await runtime.images.remove(image.id)
      await mirror.down()
      expect((await runtime.images.pull(`${registry.host}/m:1`)).id).toBe(image.id)
    } finally {
      await mirror.dispose()
    }
  })
})

test('an imported layer is compressed when it is first pushed, and mounted where the registry has it', async () => {
  const { images } = host.runtime
  async function* archive() {
    yield tarOf([file('a', 'z'.repeat(50_000))])
  }
  const name = `${registry.host}/one:1`
  const made = await images.import(archive(), { reference: name })
  const first = await images.push(name)
  const manifest = JSON.parse(registry.readManifest('one', '1')?.toString() ?? '')
  expect(manifest.layers).toMatchObject([{ mediaType: `${OCI}.layer.v1.tar+gzip` }])
  expect(manifest.layers[0].size).toBeLessThan(5_000)
  expect(await images.get(name)).toMatchObject({
    id: made.id,
    repositoryDigests: [`${registry.host}/one@${first.digest}`],
  })
  expect((await images.push(name)).digest).toBe(first.digest)
  await images.prune({ all: true })
  expect(await images.pull(name)).toMatchObject({ id: made.id, diffIds: made.diffIds })
  await images.tag(name, `${registry.host}/two:1`)
  await images.push(`${registry.host}/two:1`)
  expect((await images.get(name)).repositoryDigests).toHaveLength(2)
})

/** A small ext4 of its own, mounted for as long as the work takes. */
async function onSmallDisk(mkfs: readonly string[], work: (dir: string) => Promise<void>): Promise<void> {
  const image = `${host.dir}/disk.img`
  const dir = `${host.dir}/disk`
  writeFileSync(image, '')
  truncateSync(image, 64 * 1024 * 1024)
  execFileSync('mkfs.ext4', ['-q', '-F', ...mkfs, image])
  mkdirSync(dir)
  execFileSync('mount', ['-o', 'loop', image, dir])
  try {
    await work(dir)
  } finally {
    await host.reopen({ root: `${host.dir}/root` })
    umount(dir, MNT_DETACH)
    rmSync(image)
  }
}

describe('a full disk', () => {
  const noise = () => Array.from({ length: 3 }, (_, index) => [file(`f${index}`, randomText(30_000_000))])
  const randomText = (bytes: number) =>
    execFileSync('head', ['-c', String(bytes), '/dev/urandom'], { maxBuffer: bytes * 2 })

  test.each<[string, readonly string[], () => readonly (readonly TarEntry[])[]]>([
    ['F15: no space', [], noise],
    ['F18: no inodes', ['-N', '512'], () => [Array.from({ length: 1_000 }, (_, index) => file(`f${index}`))]],
  ])(
    '%s: a pull ends with one clear error that names a path, leaves nothing half, and others go on',
    async (_name, mkfs, layers) => {
      publish('small', '1', { layers: [[file('a')]] })
      publish('big', '1', { layers: layers() })
      await onSmallDisk(mkfs, async (dir) => {
        const runtime = await host.reopen({ root: `${dir}/root` })
        const small = await runtime.images.pull(`${registry.host}/small:1`)
        const before = readdirSync(`${dir}/root/l`)
        await expect(runtime.images.pull(`${registry.host}/big:1`)).rejects.toMatchObject({
          code: 'host.disk_full',
          message: expect.stringContaining(`${dir}/root/`),
        })
        expect(readdirSync(`${dir}/root/l`)).toEqual(before)
        expect((await runtime.images.list()).map(({ id }) => id)).toEqual([small.id])
        await runtime.images.prune()
        expect(await runtime.images.check()).toEqual([])
        publish('other', '1', { layers: [[file('b')]] })
        await runtime.images.pull(`${registry.host}/other:1`)
      })
    },
  )
})

test('F17: on a full disk a commit and changed records are as before or as wanted, never torn; afterwards all goes on', async () => {
  await onSmallDisk([], async (dir) => {
    const small = { root: `${dir}/root` }
    let runtime = await host.reopen(small)
    await buildTinyImage(runtime)
    const script = 'head -c 30000000 /dev/urandom > /big; echo kept > /small'
    const { id } = await runtime.containers.create({
      name: 'c',
      image: 'tiny:1',
      command: ['sh', '-c', script],
    })
    await runtime.containers.start(id)
    await runtime.containers.wait(id)
    const before = await runtime.images.list()
    await expect(runtime.containers.commit(id, { reference: 'made:1' })).rejects.toMatchObject({
      code: 'host.disk_full',
    })
    expect(await runtime.images.list()).toEqual(before)

    const filler = `${dir}/filler`
    execFileSync('sh', ['-c', `cat /dev/zero > ${filler} 2>/dev/null; sync ${filler}; true`])
    const names = Array.from({ length: 40 }, (_, index) => `${'n'.repeat(100)}${index}`)
    let known = 'c'
    for (const name of names)
      await runtime.containers.rename(id, name).then(
        () => {
          known = name
        },
        () => undefined,
      )
    expect((await runtime.containers.inspect(id)).spec.name).toBe(known)
    rmSync(filler)
    runtime = await host.reopen(small)
    expect(await runtime.containers.list()).toMatchObject([{ id, spec: { name: known }, state: 'exited' }])
    expect(runtime.info().warnings.filter((warning) => warning.includes('put aside'))).toEqual([])
    expect(await runtime.images.check()).toEqual([])
    const other = await runtime.containers.create({
      name: 'd',
      image: 'tiny:1',
      command: ['sh', '-c', 'echo > /a'],
    })
    await runtime.containers.start(other.id)
    await runtime.containers.wait(other.id)
    expect(await runtime.containers.commit(other.id, { reference: 'made:2' })).toBeDefined()
  })
})

test('F35: collections, pulls, pushes, removals and containers at the same time lose no blob and no layer that is wanted', async () => {
  const { runtime } = host
  await buildTinyImage(runtime)
  const names = Array.from({ length: 4 }, (_, index) => `${registry.host}/r${index}:1`)
  for (const [index] of names.entries())
    publish(`r${index}`, '1', { layers: [[file('shared')], [file(`own${index}`)], [file('top')]] })
  const until = performance.now() + 8_000
  const failures: unknown[] = []
  const loop = async (work: (round: number) => Promise<unknown>) => {
    for (let round = 0; performance.now() < until; round++)
      await work(round).catch((error: { code?: string }) => {
        // What was removed a moment before is rightly not there.
        if (!['image.not_found', 'image.in_use', 'image.has_references'].includes(error.code ?? ''))
          failures.push(error)
      })
  }
  const name = (round: number) => names[round % names.length] ?? ''
  await Promise.all([
    loop((round) => runtime.images.pull(name(round))),
    loop((round) => runtime.images.pull(name(round + 2))),
    loop((round) => runtime.images.push(name(round + 1))),
    loop((round) => runtime.images.remove(name(round + 3), { force: true })),
    loop(() => runtime.images.prune()),
    loop(async (round) => {
      const container = await runtime.containers.create({
        name: `c${round}`,
        image: 'tiny:1',
        command: ['true'],
        network: 'none',
      })
      await runtime.containers.start(container.id)
      await runtime.containers.wait(container.id)
      await runtime.containers.remove(container.id, { force: true })
    }),
  ])
  expect(failures).toEqual([])
  for (const one of names) await runtime.images.pull(one)
  expect(await runtime.images.check()).toEqual([])
  await runtime.images.prune({ all: true })
  expect(readdirSync(`${host.options.root}/l`)).toEqual([])
  expect(readdirSync(`${host.options.root}/content/blobs/sha256`)).toEqual([])
})

test('after a power cut what may be torn is not trusted: good blobs give their layers again, bad ones are put aside', async () => {
  publish('t', '1', { layers: [[file('a', 'good')], [file('b', 'bad')]] })
  const name = `${registry.host}/t:1`
  const image = await host.runtime.images.pull(name)
  await host.reopen()
  const { db, close } = openMetadata(host.options.root)
  const [first, second] = db.prepare('SELECT chain_id, dir FROM layer ORDER BY dir').all()
  const blobs = db
    .prepare('SELECT digest FROM image_blob')
    .all()
    .map((row) => String(row.digest))
  const remember = db.prepare("INSERT OR REPLACE INTO unsynced VALUES (?, 'another boot')")
  for (const key of [first, second]
    .map((row) => `layer:${row?.chain_id}`)
    .concat(blobs.map((digest) => `blob:${digest}`)))
    remember.run(key)
  close()
  writeFileSync(`${host.options.root}/l/${first?.dir}/a`, 'torn')
  const bad = gzipSync(tarOf([file('b', 'bad')]))
  writeFileSync(`${host.options.root}/content/blobs/sha256/${digestOf(bad).slice(7)}`, 'torn')
  const runtime = await host.reopen()
  expect(await runtime.images.check()).toEqual([{ digest: digestOf(bad), images: [name] }])
  expect(await runtime.images.pull(name)).toMatchObject({ id: image.id })
  expect(await runtime.images.check()).toEqual([])
  const contents = readdirSync(`${host.options.root}/l`).flatMap((dir) =>
    readdirSync(`${host.options.root}/l/${dir}`),
  )
  expect(contents.sort()).toEqual(['a', 'b'])
})
