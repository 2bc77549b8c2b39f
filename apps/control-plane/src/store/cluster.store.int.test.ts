import { createHash, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestClock } from '@berth/core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parseJoinToken } from '../ca/join-token.js'
import { aDatabase, type StoreFixture } from '../testing/database.js'
import { ClusterStore } from './cluster.store.js'

let fixture: StoreFixture
let dir: string
let clock: TestClock
let store: ClusterStore
beforeAll(async () => {
  fixture = await aDatabase()
})
afterAll(() => fixture.dispose())
beforeEach(async () => {
  await fixture.database.query('TRUNCATE cluster, join_token, node, outbox CASCADE')
  dir = mkdtempSync(join(tmpdir(), 'berth-cluster-'))
  clock = new TestClock(Date.now())
  store = new ClusterStore(fixture.database, dir, clock)
  return () => rmSync(dir, { recursive: true, force: true })
})

const join1 = (token: string, hostname = 'server-a', machineId = 'm1') =>
  store.enroll({ token, hostname, machineId })
const codes = async (work: readonly Promise<unknown>[]) =>
  (await Promise.allSettled(work)).map((one) =>
    one.status === 'fulfilled' ? 'ok' : (one.reason as { code?: string }).code,
  )

describe('the CA', () => {
  test('is made once, even by five first processes at once, and its key is never readable in a row', async () => {
    const all = await Promise.all(
      Array.from({ length: 5 }, () => new ClusterStore(fixture.database, dir, clock).ca()),
    )
    expect(new Set(all.map((ca) => ca.certificatePem)).size).toBe(1)
    expect(new Set(all.map((ca) => ca.keyPem)).size).toBe(1)
    const [row] = await fixture.database.query<{ caKeySealed: Buffer }>('SELECT "caKeySealed" FROM cluster')
    expect(row?.caKeySealed.includes('PRIVATE KEY')).toBe(false)
    expect(statSync(join(dir, 'secret.key')).mode & 0o077).toBe(0)
  })

  test('is not opened with another key file: the fault says which file is wrong', async () => {
    await store.ca()
    writeFileSync(join(dir, 'secret.key'), Buffer.alloc(32, 1))
    await expect(store.ca()).rejects.toMatchObject({ code: 'secret.wrong_key' })
  })
})

describe('a join token', () => {
  test('pins the CA by the digest of its certificate', async () => {
    const { token } = await store.createJoinToken('server-a')
    const der = new X509Certificate((await store.ca()).certificatePem).raw
    expect(parseJoinToken(token).caDigest).toBe(createHash('sha256').update(der).digest('base64url'))
  })

  test('lets exactly one of ten in', async () => {
    const { token } = await store.createJoinToken('x')
    const results = await codes(Array.from({ length: 10 }, (_, i) => join1(token, `server-${i}`, `m${i}`)))
    expect(results.toSorted()).toEqual([...Array(9).fill('join.token_invalid'), 'ok'])
    expect(await fixture.database.query('SELECT name FROM node')).toHaveLength(1)
  })

  test('is worth nothing after a day, or when it never existed, and both look the same', async () => {
    const { token } = await store.createJoinToken('x')
    await fixture.database.query(`UPDATE join_token SET "expiresAt" = now() - interval '1 second'`)
    const unknown = token.slice(0, -4) + (token.endsWith('AAAA') ? 'BBBB' : 'AAAA')
    const refusals = await Promise.all(
      [token, unknown].map((one) => join1(one).catch((error: Error) => error)),
    )
    expect(refusals[0]).toMatchObject({ code: 'join.token_invalid', kind: 'unauthenticated' })
    expect((refusals[1] as Error).message).toBe((refusals[0] as Error).message)
  })

  test('is not used up by a host that is refused for its name', async () => {
    await join1((await store.createJoinToken('x')).token)
    const { token } = await store.createJoinToken('x')
    await expect(join1(token, 'server-a', 'another machine')).rejects.toMatchObject({
      code: 'node.name_taken',
    })
    await expect(join1(token, 'server-b', 'another machine')).resolves.toEqual(expect.any(String))
  })

  test('two machines of one name at once: one joins, the other is told that the name is taken', async () => {
    const tokens = await Promise.all([store.createJoinToken('x'), store.createJoinToken('x')])
    const results = await codes(tokens.map(({ token }, i) => join1(token, 'server-a', `m${i}`)))
    expect(results.toSorted()).toEqual(['node.name_taken', 'ok'])
  })

  test('gives a machine that comes back under its name the id it had', async () => {
    const first = await join1((await store.createJoinToken('x')).token)
    expect(await join1((await store.createJoinToken('x')).token)).toBe(first)
    expect(await store.isMember(first)).toBe(true)
    expect(await store.isMember('nobody')).toBe(false)
  })

  test('is stored only as a hash', async () => {
    const { token } = await store.createJoinToken('x')
    const rows = JSON.stringify(await fixture.database.query('SELECT * FROM join_token'))
    expect(rows).not.toContain(parseJoinToken(token).secret)
  })
})
