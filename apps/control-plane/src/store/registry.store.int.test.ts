import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { digestOf } from '@berth/core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { manifestNeeds } from '../registry/manifest-needs.js'
import { aDatabase, type StoreFixture } from '../testing/database.js'
import { RegistryStore } from './registry.store.js'

const OCI = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
let fixture: StoreFixture
let dir: string
let store: RegistryStore
beforeAll(async () => {
  fixture = await aDatabase()
})
afterAll(() => fixture.dispose())
beforeEach(async () => {
  await fixture.database.query('TRUNCATE registry_repository CASCADE')
  dir = mkdtempSync(join(tmpdir(), 'berth-registry-'))
  store = new RegistryStore(fixture.database, dir)
  return () => rmSync(dir, { recursive: true, force: true })
})

const body = (...parts: string[]) => Readable.from(parts.map((part) => Buffer.from(part)))
async function push(repository: string, content: string): Promise<string> {
  const id = await store.beginUpload()
  await store.append(id, body(content))
  const digest = digestOf(content)
  await store.finishUpload(id, repository, digest)
  return digest
}
const image = (config: string, ...layers: string[]) =>
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI,
      config: { digest: config },
      layers: layers.map((digest) => ({ digest })),
    }),
  )
const put = (repository: string, reference: string, manifest: Buffer, type = OCI) =>
  store.putManifest(repository, reference, type, manifest, manifestNeeds(manifest, type))
async function text(digest: string, range?: { start: number; end: number }): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of store.readBlob(digest, range)) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
const uploads = () => readdirSync(join(dir, 'registry', 'uploads'))

describe('an upload', () => {
  test('goes on where it stopped, also by another process on the same directory', async () => {
    const id = await store.beginUpload()
    expect(await store.append(id, body('hello '))).toBe(6)
    const other = new RegistryStore(fixture.database, dir)
    expect(other.uploadSize(id)).toBe(6)
    expect(await other.append(id, body('wor', 'ld'))).toBe(11)
    await other.finishUpload(id, 'demo/web', digestOf('hello world'))
    expect(await text(digestOf('hello world'))).toBe('hello world')
    expect(await text(digestOf('hello world'), { start: 6, end: 8 })).toBe('wor')
    expect([store.uploadSize(id), uploads()]).toEqual([undefined, []])
  })

  test('keeps what came before the connection broke', async () => {
    const id = await store.beginUpload()
    const broken = Readable.from(
      (async function* () {
        yield Buffer.from('half')
        throw new Error('connection reset')
      })(),
    )
    await expect(store.append(id, broken)).rejects.toThrow('connection reset')
    expect(store.uploadSize(id)).toBe(4)
    await store.append(id, body('whole'))
    await store.finishUpload(id, 'demo/web', digestOf('halfwhole'))
    expect(await store.hasBlob('demo/web', digestOf('halfwhole'))).toBe(9)
  })

  test('of other bytes than promised is refused and dropped', async () => {
    const id = await store.beginUpload()
    await store.append(id, body('evil'))
    await expect(store.finishUpload(id, 'demo/web', digestOf('good'))).rejects.toMatchObject({
      code: 'registry.digest_invalid',
    })
    expect([await store.hasBlob('demo/web', digestOf('good')), uploads()]).toEqual([undefined, []])
  })

  test('cancelled is gone', async () => {
    const id = await store.beginUpload()
    store.cancelUpload(id)
    expect(store.uploadSize(id)).toBeUndefined()
  })

  test.each(['..', '../blobs', '../../secret.key', '', 'x'.repeat(36), '/etc/passwd'])(
    '%j is no upload',
    (id) => {
      expect(store.uploadSize(id)).toBeUndefined()
      store.cancelUpload(id)
      expect(readdirSync(join(dir, 'registry')).toSorted()).toEqual(['blobs', 'uploads'])
    },
  )

  test('of one blob by eight at once ends in one file that is whole', async () => {
    const digests = await Promise.all(Array.from({ length: 8 }, (_, i) => push(`demo/r${i}`, 'same bytes')))
    expect(new Set(digests).size).toBe(1)
    expect(readdirSync(join(dir, 'registry', 'blobs'))).toHaveLength(1)
    expect(await text(digests[0] ?? '')).toBe('same bytes')
  })
})

describe('a blob', () => {
  test('is readable only through a repository that has it, until it is mounted', async () => {
    const digest = await push('demo/web', 'layer')
    expect(await store.hasBlob('demo/web', digest)).toBe(5)
    expect(await store.hasBlob('other', digest)).toBeUndefined()
    expect(await store.mountBlob('other', 'third', digest), 'not from where it is not').toBe(false)
    expect(await store.mountBlob('demo/web', 'other', digest)).toBe(true)
    expect(await store.hasBlob('other', digest)).toBe(5)
    expect(await store.hasBlob('third', digest)).toBeUndefined()
  })

  test('is asked for by digest only', async () => {
    for (const text of ['', '../x', 'sha256:..', `sha256:${'A'.repeat(64)}`])
      expect(await store.hasBlob('demo/web', text)).toBeUndefined()
  })

  test('whose file was lost is not there', async () => {
    const digest = await push('demo/web', 'layer')
    rmSync(join(dir, 'registry', 'blobs', digest.slice(7)))
    expect(await store.hasBlob('demo/web', digest)).toBeUndefined()
  })
})

describe('a manifest', () => {
  test('is refused while a blob of it is missing, and leaves no tag', async () => {
    const config = await push('demo/web', 'config')
    const layer = digestOf('layer')
    await expect(put('demo/web', 'v1', image(config, layer))).rejects.toMatchObject({
      code: 'registry.blob_unknown',
      message: expect.stringContaining(layer),
    })
    expect(await store.manifest('demo/web', 'v1')).toBeUndefined()
    await push('demo/web', 'layer')
    await put('demo/web', 'v1', image(config, layer))
    expect(await store.resolve('demo/web', 'v1')).toBe(digestOf(image(config, layer)))
  })

  test('may not lean on blobs of another repository', async () => {
    const config = await push('secret', 'config')
    await expect(put('mine', 'v1', image(config))).rejects.toMatchObject({ code: 'registry.blob_unknown' })
  })

  test('is given back byte by byte, by tag and by digest', async () => {
    const manifest = Buffer.from(`${image(await push('demo/web', 'config')).toString()}\n  `)
    const digest = await put('demo/web', 'v1', manifest)
    for (const reference of ['v1', digest])
      expect(await store.manifest('demo/web', reference)).toEqual({ digest, mediaType: OCI, body: manifest })
    expect(await store.manifest('other', digest)).toBeUndefined()
  })

  test('pushed under a digest that is not its own is refused', async () => {
    const manifest = image(await push('demo/web', 'config'))
    await expect(put('demo/web', digestOf('other'), manifest)).rejects.toMatchObject({
      code: 'registry.digest_invalid',
    })
  })

  test('of an index needs its manifests first', async () => {
    const manifest = image(await push('demo/web', 'config'))
    const index = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [{ digest: digestOf(manifest) }] }),
    )
    await expect(put('demo/web', 'all', index, INDEX)).rejects.toMatchObject({
      code: 'registry.blob_unknown',
    })
    await put('demo/web', digestOf(manifest), manifest)
    expect(await put('demo/web', 'all', index, INDEX)).toBe(digestOf(index))
    expect(await store.tags('demo/web'), 'a push by digest makes no tag').toEqual(['all'])
  })

  test('deleted takes its tags with it, a deleted tag leaves the manifest', async () => {
    const digest = await put('demo/web', 'v1', image(await push('demo/web', 'config')))
    await put('demo/web', 'v2', image(await push('demo/web', 'config')))
    expect(await store.deleteManifest('demo/web', 'v1')).toBe(true)
    expect(await store.deleteManifest('demo/web', 'v1')).toBe(false)
    expect(await store.manifest('demo/web', digest)).toBeDefined()
    expect(await store.deleteManifest('demo/web', digest)).toBe(true)
    expect([await store.tags('demo/web'), await store.manifest('demo/web', 'v2')]).toEqual([[], undefined])
  })

  test('of one tag pushed by many at once ends as one of theirs', async () => {
    const configs = await Promise.all(Array.from({ length: 6 }, (_, i) => push('demo/web', `config ${i}`)))
    const digests = await Promise.all(configs.map((config) => put('demo/web', 'latest', image(config))))
    expect(digests).toContain(await store.resolve('demo/web', 'latest'))
    expect(await store.tags('demo/web')).toEqual(['latest'])
  })
})

test('an unknown repository has no tags at all, a known one is listed', async () => {
  expect(await store.tags('nope')).toBeUndefined()
  await push('demo/b', 'x')
  await push('demo/a', 'x')
  expect(await store.repositories()).toEqual(['demo/a', 'demo/b'])
})
