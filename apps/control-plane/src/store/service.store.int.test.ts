import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { aSpec } from '../testing/builders.js'
import { aDatabase, type StoreFixture } from '../testing/database.js'
import { ServiceStore } from './service.store.js'

let fixture: StoreFixture
let store: ServiceStore
beforeAll(async () => {
  fixture = await aDatabase()
  store = new ServiceStore(fixture.database)
})
afterAll(() => fixture.dispose())
beforeEach(() => fixture.database.query('TRUNCATE service, outbox, audit CASCADE'))

const IMAGE = `berth.internal/demo/web@sha256:${'a'.repeat(64)}`
const row = async (name = 'web') =>
  (
    await fixture.database.query<{ specVersion: number; releaseNumber: number; rebalance: boolean }>(
      'SELECT "specVersion", "releaseNumber", rebalance FROM service WHERE name = $1',
      [name],
    )
  )[0]
const count = async (table: string) =>
  Number((await fixture.database.query<{ n: string }>(`SELECT count(*) AS n FROM ${table}`))[0]?.n)
const port = (publishedPort: number) => ({ targetPort: 80, publishedPort })
const settled = async (work: readonly Promise<unknown>[]) =>
  (await Promise.allSettled(work)).map((one) =>
    one.status === 'fulfilled' ? 'ok' : (one.reason as { code?: string }).code,
  )

describe('create', () => {
  test('writes service, release, deployment, ports, audit and outbox together', async () => {
    await store.create(aSpec({ ports: [port(80)] }), IMAGE, 'admin')
    for (const table of ['service', 'release', 'deployment', 'published_port', 'audit'])
      expect([table, await count(table)]).toEqual([table, 1])
    const nouns = await fixture.database.query('SELECT noun, action FROM outbox ORDER BY seq')
    expect(nouns).toEqual([
      { noun: 'deployment', action: 'created' },
      { noun: 'service', action: 'created' },
    ])
  })

  test('refused, writes nothing at all', async () => {
    await store.create(aSpec({ ports: [port(80)] }), IMAGE, 'admin')
    await fixture.database.query('TRUNCATE outbox, audit')
    await expect(
      store.create(aSpec({ name: 'api', ports: [port(81), port(80)] }), IMAGE, 'admin'),
    ).rejects.toMatchObject({
      code: 'port.taken',
      params: { port: 80, service: 'web' },
    })
    expect([await count('service'), await count('release'), await count('published_port')]).toEqual([1, 1, 1])
    expect([await count('outbox'), await count('audit')]).toEqual([0, 0])
  })

  test('of one name by ten at once succeeds once, the others are told so', async () => {
    const results = await settled(Array.from({ length: 10 }, () => store.create(aSpec(), IMAGE, 'admin')))
    expect(results.toSorted()).toEqual(['ok', ...Array(9).fill('service.name_taken')])
    expect(await count('release')).toBe(1)
  })

  test('of one port by ten services at once gives it to one, the others are told so', async () => {
    const results = await settled(
      Array.from({ length: 10 }, (_, i) =>
        store.create(aSpec({ name: `s${i}`, ports: [port(80)] }), IMAGE, 'admin'),
      ),
    )
    expect(results.toSorted()).toEqual(['ok', ...Array(9).fill('port.taken')])
    expect(await count('service')).toBe(1)
  })

  test('the same ports in another order do not deadlock', async () => {
    const ports = [port(80), port(81), port(82)]
    const results = await settled(
      Array.from({ length: 8 }, (_, i) =>
        store.create(aSpec({ name: `s${i}`, ports: i % 2 ? ports : ports.toReversed() }), IMAGE, 'admin'),
      ),
    )
    expect(results.toSorted()).toEqual(['ok', ...Array(7).fill('port.taken')])
  })
})

describe('update', () => {
  const image2 = IMAGE.replaceAll('a', 'b')
  test('of the version seen makes a release; of an older one is refused and changes nothing', async () => {
    await store.create(aSpec(), IMAGE, 'admin')
    await store.update('web', (spec) => ({ ...spec, labels: { v: '2' } }), IMAGE, 1, 'admin')
    expect(await row()).toMatchObject({ specVersion: 2, releaseNumber: 2 })
    await fixture.database.query('TRUNCATE outbox')
    await expect(
      store.update('web', (spec) => ({ ...spec, labels: {} }), image2, 1, 'admin'),
    ).rejects.toMatchObject({
      code: 'precondition.failed',
      retryable: false,
    })
    expect(await row()).toMatchObject({ specVersion: 2, releaseNumber: 2 })
    expect(await count('outbox')).toBe(0)
  })

  test('by ten who saw the same version succeeds once', async () => {
    await store.create(aSpec(), IMAGE, 'admin')
    const results = await settled(
      Array.from({ length: 10 }, (_, i) =>
        store.update('web', (spec) => ({ ...spec, labels: { by: String(i) } }), IMAGE, 1, 'admin'),
      ),
    )
    expect(results.toSorted()).toEqual(['ok', ...Array(9).fill('precondition.failed')])
    expect(await row()).toMatchObject({ specVersion: 2, releaseNumber: 2 })
  })

  test('that changes nothing is no write: no version, no release, no outbox row', async () => {
    await store.create(aSpec(), IMAGE, 'admin')
    await fixture.database.query('TRUNCATE outbox')
    await store.update('web', (spec) => spec, IMAGE, undefined, 'admin')
    expect(await row()).toMatchObject({ specVersion: 1, releaseNumber: 1 })
    expect(await count('outbox')).toBe(0)
  })

  test('supersedes the deployment that was rolling, and only that one rolls', async () => {
    await store.create(aSpec(), IMAGE, 'admin')
    await store.update('web', (spec) => spec, image2, undefined, 'admin')
    const states = await fixture.database.query(
      'SELECT "releaseNumber" AS n, state FROM deployment ORDER BY 1',
    )
    expect(states).toEqual([
      { n: 1, state: 'superseded' },
      { n: 2, state: 'rolling' },
    ])
  })

  test('moves ports: the old one is free for others at once', async () => {
    await store.create(aSpec({ ports: [port(80)] }), IMAGE, 'admin')
    await store.update(
      'web',
      (spec) => ({ ...spec, ports: aSpec({ ports: [port(81)] }).ports }),
      IMAGE,
      undefined,
      'admin',
    )
    await store.create(aSpec({ name: 'api', ports: [port(80)] }), IMAGE, 'admin')
    await expect(store.create(aSpec({ name: 'x', ports: [port(81)] }), IMAGE, 'admin')).rejects.toMatchObject(
      {
        code: 'port.taken',
      },
    )
  })

  test('of a service that does not exist is not found', async () => {
    await expect(store.update('web', (spec) => spec, IMAGE, 1, 'admin')).rejects.toMatchObject({
      code: 'service.not_found',
    })
  })
})

describe('scale', () => {
  const scale = (replicas: number, expected?: number) =>
    store.update('web', (spec) => ({ ...spec, replicas }), undefined, expected, 'admin')

  test('makes no release and no deployment, and asks for the spread once', async () => {
    await store.create(aSpec(), IMAGE, 'admin')
    await scale(5)
    expect(await row()).toEqual({ specVersion: 2, releaseNumber: 1, rebalance: true })
    expect([await count('release'), await count('deployment')]).toEqual([1, 1])
    const audit = await fixture.database.query('SELECT action FROM audit ORDER BY id')
    expect(audit.map((one) => one.action)).toEqual(['service.create', 'service.scale'])
  })

  test('twenty at once without a version all count, one after the other', async () => {
    await store.create(aSpec({ replicas: 0 }), IMAGE, 'admin')
    await Promise.all(
      Array.from({ length: 20 }, () =>
        store.update(
          'web',
          (spec) => ({ ...spec, replicas: spec.replicas + 1 }),
          undefined,
          undefined,
          'admin',
        ),
      ),
    )
    const [{ replicas } = { replicas: 0 }] = await fixture.database.query<{ replicas: number }>(
      `SELECT (spec->>'replicas')::int AS replicas FROM service`,
    )
    expect([replicas, (await row())?.specVersion]).toEqual([20, 21])
  })
})

describe('remove', () => {
  test('frees the ports at once and the name when the last task is gone', async () => {
    await store.create(aSpec({ ports: [port(80)] }), IMAGE, 'admin')
    await store.remove('web', 'admin')
    await expect(store.remove('web', 'admin')).rejects.toMatchObject({ code: 'service.not_found' })
    await expect(store.create(aSpec(), IMAGE, 'admin')).rejects.toMatchObject({ code: 'service.removing' })
    await store.create(aSpec({ name: 'api', ports: [port(80)] }), IMAGE, 'admin')
  })

  test('while it is updated by others leaves no half of either', async () => {
    await store.create(aSpec({ ports: [port(80)] }), IMAGE, 'admin')
    await settled([
      ...Array.from({ length: 5 }, (_, i) =>
        store.update('web', (spec) => ({ ...spec, labels: { i: String(i) } }), IMAGE, undefined, 'admin'),
      ),
      store.remove('web', 'admin'),
    ])
    expect(await count('published_port')).toBe(0)
  })
})

test('the release before the present one is given for a rollback, or a reason why not', async () => {
  await store.create(aSpec(), IMAGE, 'admin')
  await expect(store.previousRelease('web')).rejects.toMatchObject({ code: 'service.no_previous_release' })
  await store.update('web', (spec) => ({ ...spec, labels: { v: '2' } }), IMAGE, undefined, 'admin')
  expect((await store.previousRelease('web')).spec.labels).toEqual({})
})
