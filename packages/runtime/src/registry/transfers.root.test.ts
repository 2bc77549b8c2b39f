import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { digestOf } from '@berth/core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ImageRecord, Runtime, RuntimeEvent, TransferProgress } from '../api.js'
import {
  buildTinyImage,
  gzipOf,
  openTestRegistry,
  openTestRuntime,
  type TarEntry,
  type TestRegistry,
  type TestRegistryOptions,
  type TestRuntime,
  tarOf,
} from '../testing/index.js'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'
const CONFIG = 'application/vnd.oci.image.config.v1+json'

let sender: TestRuntime
let built: ImageRecord
beforeAll(async () => {
  sender = await openTestRuntime()
  built = await buildTinyImage(sender.runtime, {
    lines: ['ENV COLOR=blue', 'CMD ["true"]', 'LABEL made=here'],
  })
})
afterAll(() => sender?.dispose())

let host: TestRuntime
let registry: TestRegistry
const registries: TestRegistry[] = []
const openRegistry = async (options: TestRegistryOptions = {}): Promise<TestRegistry> => {
  const opened = await openTestRegistry(options)
  registries.push(opened)
  return opened
}
beforeEach(async () => {
  host = await openTestRuntime()
  registry = await openRegistry()
})
afterEach(async () => {
  for (const opened of registries.splice(0)) await opened.dispose()
  await host.dispose()
})

const CREDENTIALS = { username: 'captain', password: 'p:a"ss' }
/** Puts the built image into a registry. */
async function pushed(to: TestRegistry, auth?: typeof CREDENTIALS): Promise<string> {
  const reference = `${to.host}/demo/web:1`
  await sender.runtime.images.tag('tiny:1', reference)
  await sender.runtime.images.push(reference, auth ? { auth } : {})
  // The first push compresses what was built; the image has the compressed blobs from then on.
  built = await sender.runtime.images.get('tiny:1')
  return reference
}

/** Nothing of the image is visible or half-made. */
async function expectNothing(runtime: Runtime): Promise<void> {
  expect(await runtime.images.list()).toEqual([])
  expect(readdirSync(`${host.options.root}/content/ingest`)).toEqual([])
  expect(readdirSync(`${host.options.root}/l`)).toEqual([])
}

describe('push and pull', () => {
  test('what was pushed is pulled with the same digests, and runs', async () => {
    const reference = await pushed(registry)
    const pulled = await host.runtime.images.pull(reference)
    expect(pulled).toEqual({
      ...built,
      references: [reference],
      repositoryDigests: [`${registry.host}/demo/web@${built.manifestDigest}`],
      taggedAt: expect.any(String),
    })
    expect(digestOf(registry.readManifest('demo/web', '1') ?? '')).toBe(built.manifestDigest)
    const container = await host.runtime.containers.create({ name: 'c', image: reference, network: 'none' })
    await host.runtime.containers.start(container.id)
    expect(await host.runtime.containers.wait(container.id)).toMatchObject({ code: 0 })
  })

  test('a pull by digest gives exactly that image', async () => {
    await pushed(registry)
    const reference = `${registry.host}/demo/web@${built.manifestDigest}`
    expect(await host.runtime.images.pull(reference)).toMatchObject({ id: built.id })
    expect(await host.runtime.images.get(reference)).toMatchObject({ id: built.id })
  })

  test('what both sides have is not sent again', async () => {
    const reference = await pushed(registry)
    await host.runtime.images.pull(reference)
    const before = registry.requests.length
    await host.runtime.images.pull(reference)
    await pushed(registry)
    const blobs = registry.requests.slice(before).filter((line) => line.includes('/blobs/'))
    expect(blobs.filter((line) => !line.startsWith('HEAD '))).toEqual([])
  })

  test('many pulls of one image at once fetch each blob once', async () => {
    const reference = await pushed(registry)
    const before = registry.requests.length
    const stop = new AbortController()
    const events = host.runtime.events(stop.signal)
    const all = await Promise.all(Array.from({ length: 5 }, () => host.runtime.images.pull(reference)))
    expect(new Set(all.map((image) => image.id)).size).toBe(1)
    stop.abort()
    const seen: RuntimeEvent[] = []
    for await (const event of events) seen.push(event)
    expect(seen).toMatchObject([{ kind: 'image', action: 'pull', id: reference }])
    const fetched = registry.requests
      .slice(before)
      .filter((line) => line.startsWith('GET') && line.includes('/blobs/'))
    expect(fetched.length).toBe(new Set(fetched).size)
  })

  test('one caller who gives up does not take the image from the others', async () => {
    const reference = await pushed(registry)
    const stop = new AbortController()
    const first = host.runtime.images.pull(reference, { signal: stop.signal })
    const second = host.runtime.images.pull(reference)
    stop.abort()
    await expect(first).rejects.toMatchObject({ code: 'cancelled' })
    expect(await second).toMatchObject({ id: built.id })
  })

  test('progress ends with every blob done', async () => {
    const reference = await pushed(registry)
    const last = new Map<string, string>()
    await host.runtime.images.pull(reference, {
      onProgress: ({ digest, state }) => void last.set(digest, state),
    })
    expect(new Set(last.values())).toEqual(new Set(['done']))
  })

  test('removing the last reference frees blobs and layers; one in use is refused', async () => {
    const reference = await pushed(registry)
    const { images, containers } = host.runtime
    await images.pull(reference)
    await images.tag(reference, 'other:1')
    await images.remove('other:1')
    const container = await containers.create({ name: 'user', image: reference, network: 'none' })
    await expect(images.remove(reference)).rejects.toMatchObject({ code: 'image.in_use' })
    await containers.remove(container.id)
    await images.remove(reference)
    await expectNothing(host.runtime)
    expect(readdirSync(`${host.options.root}/content/blobs/sha256`)).toEqual([])
    expect(await images.remove(reference)).toEqual([])
  })

  test('a build whose base must be pulled goes through while a removal waits', async () => {
    const reference = await pushed(registry)
    const { runtime } = host
    await buildTinyImage(runtime, { tag: 'other:1', lines: ['CMD ["echo"]'] })
    const [derived] = await Promise.all([buildFrom(runtime, reference), runtime.images.remove('other:1')])
    expect(derived.diffIds).toEqual(built.diffIds)
  })
})

async function buildFrom(runtime: Runtime, reference: string): Promise<ImageRecord> {
  const contextDir = mkdtempSync(`${host.dir}/context-`)
  writeFileSync(`${contextDir}/Dockerfile`, `FROM ${reference}\nENV MORE=1\n`)
  try {
    return (await runtime.build({ contextDir, tags: ['from:1'] })).image
  } finally {
    rmSync(contextDir, { recursive: true })
  }
}

describe('login', () => {
  test.each(['basic', 'bearer'] as const)(
    '%s: right credentials push and pull, wrong or none are refused',
    async (auth) => {
      const guarded = await openRegistry({ auth, ...CREDENTIALS })
      const reference = await pushed(guarded, CREDENTIALS)
      const { images } = host.runtime
      const refused = { code: 'registry.unauthorized' }
      await expect(images.pull(reference)).rejects.toMatchObject(refused)
      const wrong = { auth: { ...CREDENTIALS, password: 'guess' } }
      await expect(images.pull(reference, wrong)).rejects.toMatchObject(refused)
      await expectNothing(host.runtime)
      expect(await images.pull(reference, { auth: CREDENTIALS })).toMatchObject({ id: built.id })
    },
  )

  test('credentials never go to a realm that is not the registry’s own (CVE-2026-33540)', async () => {
    const thief = await openRegistry()
    const guarded = await openRegistry({
      auth: 'bearer',
      ...CREDENTIALS,
      realm: `http://${thief.host}/token`,
    })
    const pull = host.runtime.images.pull(`${guarded.host}/demo/web:1`, { auth: CREDENTIALS })
    await expect(pull).rejects.toMatchObject({ code: 'registry.realm_refused' })
    expect(thief.requests).toEqual([])
  })
})

describe('a registry that fails', () => {
  test('one that is down is one clear fault, and the pull works when it is up again', async () => {
    const reference = await pushed(registry)
    await registry.down()
    await expect(host.runtime.images.pull(reference)).rejects.toMatchObject({
      code: 'registry.unreachable',
      kind: 'unavailable',
    })
    await expectNothing(host.runtime)
    await registry.up()
    expect(await host.runtime.images.pull(reference)).toMatchObject({ id: built.id })
  })

  test('503 is tried again, not before Retry-After', async () => {
    const reference = await pushed(registry)
    registry.misbehave({ unavailable: { times: 1, retryAfterSeconds: 1 } })
    const before = performance.now()
    expect(await host.runtime.images.pull(reference)).toMatchObject({ id: built.id })
    expect(performance.now() - before).toBeGreaterThanOrEqual(1_000)
  })

  test('a push survives 503 as well', async () => {
    registry.misbehave({ unavailable: { times: 3, retryAfterSeconds: 0 } })
    const reference = await pushed(registry)
    expect(await host.runtime.images.pull(reference)).toMatchObject({ id: built.id })
  })

  test('a tag that does not exist is not found', async () => {
    await expect(host.runtime.images.pull(`${registry.host}/demo/none:1`)).rejects.toMatchObject({
      code: 'image.not_found',
    })
  })

  test('a broken-off blob is resumed where it stopped', async () => {
    const reference = await pushed(registry)
    // The config comes whole; the layer breaks off at its half, once.
    const onProgress = ({ kind, state }: TransferProgress) => {
      if (kind === 'config' && state === 'done') registry.misbehave({ truncate: true })
      if (kind === 'layer' && state === 'transferring') registry.misbehave({})
    }
    expect(await host.runtime.images.pull(reference, { onProgress })).toMatchObject({ id: built.id })
    const ranges = registry.requests.filter((line) => line.includes(' bytes='))
    expect(ranges).toHaveLength(1)
    expect(Number(/bytes=(\d+)-/.exec(ranges[0] ?? '')?.[1])).toBeGreaterThan(0)
  })

  test('a blob that always breaks off is one clear fault; what arrived stays and the next pull goes on from there', async () => {
    const reference = await pushed(registry)
    registry.misbehave({ truncate: true })
    await expect(host.runtime.images.pull(reference)).rejects.toMatchObject({ code: 'registry.unreachable' })
    expect(await host.runtime.images.list()).toEqual([])
    expect(readdirSync(`${host.options.root}/content/ingest`)).toEqual([expect.stringMatching(/\.part$/)])
    registry.misbehave({})
    const before = registry.requests.length
    const runtime = await host.reopen()
    expect(await runtime.images.pull(reference)).toMatchObject({ id: built.id })
    expect(registry.requests.slice(before).filter((line) => line.includes(' bytes='))).toHaveLength(1)
    expect(readdirSync(`${host.options.root}/content/ingest`)).toEqual([])
  })
})

/** A certificate of its own for 127.0.0.1 and its key. */
function certificate(name: string): { readonly keyPem: string; readonly certPem: string } {
  const [key, cert] = [`${host.dir}/${name}.key`, `${host.dir}/${name}.crt`]
  const words = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=${name} -addext subjectAltName=IP:127.0.0.1`
  execFileSync('openssl', [...words.split(' '), '-keyout', key, '-out', cert], { stdio: 'ignore' })
  return { keyPem: readFileSync(key, 'utf8'), certPem: readFileSync(cert, 'utf8') }
}

describe('a registry with an authority of its own', () => {
  test('is spoken to with its CA and a client certificate, and with nothing less', async () => {
    const [server, client, stranger] = [certificate('server'), certificate('client'), certificate('stranger')]
    const guarded = await openRegistry({ tls: { ...server, clientCaPem: client.certPem } })
    const endpoint = `https://${guarded.host}`
    const whole = {
      endpoint,
      caPem: server.certPem,
      clientCertPem: client.certPem,
      clientKeyPem: client.keyPem,
    }
    await sender.reopen({ registries: { 'berth.internal': whole } })
    await sender.runtime.images.tag('tiny:1', 'berth.internal/demo/web:1')
    await sender.runtime.images.push('berth.internal/demo/web:1')
    for (const access of [
      { ...whole, caPem: stranger.certPem },
      { endpoint, caPem: server.certPem },
    ]) {
      const runtime = await host.reopen({ registries: { 'berth.internal': access } })
      await expect(runtime.images.pull('berth.internal/demo/web:1')).rejects.toMatchObject({
        code: 'registry.unreachable',
      })
    }
    const runtime = await host.reopen({ registries: { 'berth.internal': whole } })
    expect(await runtime.images.pull('berth.internal/demo/web:1')).toMatchObject({ id: built.id })
  })
})

/** An image made by hand, so that parts of it can lie. */
function craft(
  entries: readonly TarEntry[],
  lies: { diffId?: string; layerDigest?: string; size?: number } = {},
): string {
  const blob = gzipOf(entries)
  const digest = registry.putBlob(blob)
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: 'amd64',
      config: {},
      rootfs: { type: 'layers', diff_ids: [lies.diffId ?? digestOf(tarOf(entries))] },
    }),
  )
  registry.putManifest('evil/image', '1', {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: { mediaType: CONFIG, digest: registry.putBlob(config), size: config.length },
    layers: [{ mediaType: LAYER, digest: lies.layerDigest ?? digest, size: lies.size ?? blob.length }],
  })
  return `${registry.host}/evil/image:1`
}

describe('A9: a registry that lies', () => {
  const FILE: TarEntry[] = [{ name: 'a', body: 'x' }]

  test('A9: a blob with other bytes than its digest is refused', async () => {
    const reference = await pushed(registry)
    registry.misbehave({ wrongBytes: true })
    await expect(host.runtime.images.pull(reference)).rejects.toMatchObject({ code: 'image.digest_mismatch' })
    await expectNothing(host.runtime)
    registry.misbehave({})
    expect(await host.runtime.images.pull(reference)).toMatchObject({ id: built.id })
  })

  test('A9: a blob longer than promised is refused', async () => {
    const reference = await pushed(registry)
    registry.misbehave({ tooLong: true })
    await expect(host.runtime.images.pull(reference)).rejects.toMatchObject({ code: 'image.size_mismatch' })
    await expectNothing(host.runtime)
  })

  test('A9: a descriptor with a smaller size than the blob is refused', async () => {
    await expect(host.runtime.images.pull(craft(FILE, { size: 10 }))).rejects.toMatchObject({
      code: 'image.size_mismatch',
    })
    await expectNothing(host.runtime)
  })

  test('A9: a layer that unpacks to another diff id is refused', async () => {
    const reference = craft(FILE, { diffId: digestOf('other') })
    await expect(host.runtime.images.pull(reference)).rejects.toMatchObject({
      code: 'image.diff_id_mismatch',
    })
    await expectNothing(host.runtime)
  })

  test.each([
    'sha256:../../../../etc/passwd',
    'sha256:abc',
    `sha512:${'a'.repeat(128)}`,
    `sha256:${'A'.repeat(64)}`,
    '',
  ])('A9: the layer digest %s is refused before any path or request is made of it', async (layerDigest) => {
    const reference = craft(FILE, { layerDigest })
    await expect(host.runtime.images.pull(reference)).rejects.toMatchObject({
      code: 'image.manifest_invalid',
    })
    expect(registry.requests.filter((line) => line.includes('/blobs/'))).toEqual([])
    await expectNothing(host.runtime)
  })

  test('A9: a manifest with other bytes than the digest asked for is refused', async () => {
    craft(FILE)
    const asked = digestOf('the manifest that was wanted')
    registry.putManifest('evil/image', asked, { schemaVersion: 2, config: {}, layers: [] })
    await expect(host.runtime.images.pull(`${registry.host}/evil/image@${asked}`)).rejects.toMatchObject({
      code: 'image.digest_mismatch',
    })
    await expectNothing(host.runtime)
  })

  test('A1: an image whose layer climbs out is refused whole', async () => {
    const reference = craft([{ name: '../../../../tmp/berth-was-here', body: 'evil' }])
    await expect(host.runtime.images.pull(reference)).rejects.toMatchObject({ code: 'image.layer_invalid' })
    await expectNothing(host.runtime)
  })
})

test('F33: without its registry what is here starts, by tag and by digest; what is not here is one clear error', async () => {
  const { containers, images } = host.runtime
  const reference = await pushed(registry)
  const image = await images.pull(reference)
  await registry.dispose()
  const [byDigest = ''] = image.repositoryDigests
  for (const [index, wanted] of [reference, byDigest].entries()) {
    const { id } = await containers.create({ name: `c${index}`, image: wanted })
    await containers.start(id)
    expect(await containers.wait(id)).toMatchObject({ code: 0 })
  }
  await expect(images.pull(`${registry.host}/demo/web:2`)).rejects.toMatchObject({
    message: expect.stringContaining(registry.host),
  })
  expect((await images.list()).map(({ id }) => id)).toEqual([image.id])
})
