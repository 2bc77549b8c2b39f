import { silentLogger } from '@berth/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aDatabase, eventually, type StoreFixture } from '../testing/database.js'
import { Database, storeFault } from './database.store.js'

let fixture: StoreFixture
beforeAll(async () => {
  fixture = await aDatabase()
  await fixture.database.query('CREATE TABLE counter (id int PRIMARY KEY, n int)')
  await fixture.database.query('INSERT INTO counter VALUES (1, 0), (2, 0)')
})
afterAll(() => fixture.dispose())

const sum = async () =>
  (await fixture.database.query<{ n: number }>('SELECT sum(n)::int AS n FROM counter'))[0]?.n

test('a transaction whose work fails leaves nothing', async () => {
  const before = await sum()
  const work = fixture.database.transaction(async (client) => {
    await client.query('UPDATE counter SET n = n + 1')
    throw Object.assign(new Error('no'), { name: 'AbortError' })
  })
  await expect(work).rejects.toMatchObject({ name: 'Fault' })
  expect(await sum()).toBe(before)
})

test('two transactions that deadlock both succeed in the end', async () => {
  const before = (await sum()) ?? 0
  const both = (first: number, second: number) =>
    fixture.database.transaction(async (client) => {
      await client.query('UPDATE counter SET n = n + 1 WHERE id = $1', [first])
      await client.query('SELECT pg_sleep(0.1)')
      await client.query('UPDATE counter SET n = n + 1 WHERE id = $1', [second])
    })
  await Promise.all([both(1, 2), both(2, 1)])
  expect(await sum()).toBe(before + 4)
})

describe('a database that is away', () => {
  test('makes every kind of call unavailable and retryable', async () => {
    const away = new Database('postgresql://x:y@127.0.0.1:1/z', silentLogger)
    const expected = { code: 'store.unavailable', kind: 'unavailable', retryable: true, retryAfterMs: 2_000 }
    await expect(away.query('SELECT 1')).rejects.toMatchObject(expected)
    await expect(away.transaction(async () => {})).rejects.toMatchObject(expected)
    await expect(away.call((prisma) => prisma.user.count())).rejects.toMatchObject(expected)
    await away.close()
  })

  test('that comes back is used again by the same object, also after it crashed in mid-transaction', async () => {
    const hanging = fixture.database.transaction((client) => client.query('SELECT pg_sleep(30)'))
    const outcome = hanging.catch((error: unknown) => error)
    await eventually('the statement runs', async () => {
      const rows = await fixture.database.query(
        `SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(30)%'`,
      )
      return rows.length > 0
    })
    await fixture.restart('immediate')
    expect(await outcome).toMatchObject({ code: 'store.unavailable' })
    await eventually('an answer', () =>
      fixture.database.query('SELECT 1').then(
        () => true,
        () => false,
      ),
    )
    expect(await fixture.database.call((prisma) => prisma.user.count())).toBe(0)
  })
})

test('a mistake in a statement is ours, not an outage, and tells users nothing of it', () => {
  const failure = storeFault(Object.assign(new Error('column "pasword" does not exist'), { code: '42703' }))
  expect(failure).toMatchObject({ kind: 'internal', code: 'store.failed', retryable: false })
  expect(failure.publicMessage).not.toContain('pasword')
})
