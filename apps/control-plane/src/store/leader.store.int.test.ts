import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { aDatabase, eventually, type StoreFixture } from '../testing/database.js'
import { assertLeads, LeaderStore } from './leader.store.js'

let fixture: StoreFixture
const open: LeaderStore[] = []
const leader = (name: string): LeaderStore => {
  const store = new LeaderStore(fixture.url, name)
  open.push(store)
  return store
}
beforeAll(async () => {
  fixture = await aDatabase()
})
afterAll(() => fixture.dispose())
beforeEach(() => fixture.database.query('TRUNCATE leader_lease'))
afterEach(async () => {
  for (const store of open.splice(0)) await store.close()
})

const expire = () =>
  fixture.database.query(`UPDATE leader_lease SET "expiresAt" = now() - interval '1 second'`)

test('of ten that want to lead at once exactly one does', async () => {
  for (let round = 0; round < 5; round++) {
    await fixture.database.query('TRUNCATE leader_lease')
    const stores = Array.from({ length: 10 }, (_, i) => leader(`r${round}-${i}`))
    const epochs = (await Promise.all(stores.map((store) => store.tryLead()))).filter(
      (epoch) => epoch !== undefined,
    )
    expect(epochs).toEqual([1n])
    for (const store of stores) await store.close()
  }
})

test('nobody takes over while the leader lives and renews, and it may renew for ever', async () => {
  const [a, b] = [leader('a'), leader('b')]
  expect(await a.tryLead()).toBe(1n)
  for (let i = 0; i < 5; i++) {
    expect(await b.tryLead()).toBeUndefined()
    expect(await a.renew(1n)).toBe(true)
  }
})

test('a leader that hangs is succeeded once its lease ran out, with a higher epoch, and learns of it', async () => {
  const [a, b] = [leader('a'), leader('b')]
  await a.tryLead()
  await expire()
  expect(await b.tryLead()).toBe(2n)
  expect(await a.renew(1n)).toBe(false)
  expect(await b.renew(2n)).toBe(true)
})

test('a leader that died is succeeded at once, without waiting for the lease', async () => {
  const [a, b] = [leader('a'), leader('b')]
  await a.tryLead()
  await a.close()
  await eventually('the succession', async () => (await b.tryLead()) === 2n, 3_000)
})

test('an expired lease has exactly one successor', async () => {
  await leader('a').tryLead()
  await expire()
  const rivals = Array.from({ length: 8 }, (_, i) => leader(`r${i}`))
  const epochs = (await Promise.all(rivals.map((store) => store.tryLead()))).filter(
    (epoch) => epoch !== undefined,
  )
  expect(epochs).toEqual([2n])
})

test('what an old epoch wants to write is refused inside its transaction', async () => {
  const a = leader('a')
  await a.tryLead()
  await expect(fixture.database.transaction((client) => assertLeads(client, 1n))).resolves.toBeUndefined()
  await expire()
  await leader('b').tryLead()
  await expect(fixture.database.transaction((client) => assertLeads(client, 1n))).rejects.toMatchObject({
    code: 'leader.lost',
    retryable: false,
  })
})

test('a round in progress holds a succession back until it has committed', async () => {
  await leader('a').tryLead()
  await expire()
  const client = new pg.Client({ connectionString: fixture.url })
  await client.connect()
  await client.query('BEGIN')
  await assertLeads(client, 1n)
  let succeeded = false
  const succession = leader('b')
    .tryLead()
    .then((epoch) => {
      succeeded = true
      return epoch
    })
  await eventually('b waits for the row', async () => {
    const [row] = await fixture.database.query<{ n: number }>(
      'SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted',
    )
    return row?.n === 1
  })
  expect(succeeded).toBe(false)
  await client.query('COMMIT')
  await client.end()
  expect(await succession).toBe(2n)
})

test('a restart of the database ends no leadership by itself', async () => {
  const a = leader('a')
  await a.tryLead()
  await fixture.restart('immediate')
  await eventually('a renewal', () => a.renew(1n).catch(() => false))
})
