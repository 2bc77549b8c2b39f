import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { aDatabase, eventually, type StoreFixture } from '../testing/database.js'
import { OUTBOX_CHANNEL, READ_OUTBOX, recordChanges } from './outbox.store.js'

let fixture: StoreFixture
beforeAll(async () => {
  fixture = await aDatabase()
})
afterAll(() => fixture.dispose())
beforeEach(() => fixture.database.query('TRUNCATE outbox'))

const change = (objectId: string) => ({ noun: 'task', objectId, serviceId: 's', action: 'updated' }) as const
const read = (after: string) =>
  fixture.database.query<{ seq: string; objectId: string }>(READ_OUTBOX, [after])
const last = (rows: readonly { seq: string }[], before: string) => rows.at(-1)?.seq ?? before

test('a reader that follows the cursor misses nothing and sees nothing twice, under forty concurrent writers', async () => {
  const seen: string[] = []
  let cursor = '0'
  let writing = true
  const reader = (async () => {
    for (;;) {
      const final = !writing
      const rows = await read(cursor)
      seen.push(...rows.map((row) => row.objectId))
      cursor = last(rows, cursor)
      if (final && rows.length === 0) return
    }
  })()
  const write = (writer: number) =>
    fixture.database.transaction(async (client) => {
      await recordChanges(client, [change(`${writer}-a`)])
      // Writers overlap: numbers are taken in one order and committed in another.
      await client.query('SELECT pg_sleep($1)', [((writer * 7) % 13) / 400])
      await recordChanges(client, [change(`${writer}-b`)])
    })
  await Promise.all(Array.from({ length: 40 }, (_, writer) => write(writer)))
  writing = false
  await reader
  expect(seen.toSorted()).toEqual(
    Array.from({ length: 40 }, (_, writer) => [`${writer}-a`, `${writer}-b`])
      .flat()
      .toSorted(),
  )
})

test('a row whose number is lower but whose transaction is still open is not overtaken', async () => {
  const slow = await fixture.database.pool.connect()
  await slow.query('BEGIN')
  await recordChanges(slow, [change('slow')])
  let done = false
  const fast = fixture.database
    .transaction(async (client) => {
      await recordChanges(client, [change('fast')])
    })
    .then(() => {
      done = true
    })
  await eventually('the second writer waits its turn', async () => {
    const [row] = await fixture.database.query<{ n: number }>(
      'SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted',
    )
    return row?.n === 1
  })
  expect([done, await read('0')]).toEqual([false, []])
  await slow.query('COMMIT')
  slow.release()
  await fast
  expect((await read('0')).map((row) => row.objectId)).toEqual(['slow', 'fast'])
})

test('numbers are read in their order, not in that of their digits', async () => {
  await fixture.database.query('ALTER SEQUENCE outbox_seq_seq RESTART WITH 9998')
  for (const id of ['a', 'b', 'c', 'd'])
    await fixture.database.transaction((client) => recordChanges(client, [change(id)]))
  expect((await read('0')).map((row) => row.objectId)).toEqual(['a', 'b', 'c', 'd'])
  expect((await read('9999')).map((row) => row.objectId)).toEqual(['c', 'd'])
})

test('a change whose transaction is rolled back was never recorded', async () => {
  await fixture.database
    .transaction(async (client) => {
      await recordChanges(client, [change('x')])
      throw new Error('on purpose')
    })
    .catch(() => {})
  expect(await read('0')).toEqual([])
})

test('readers are woken by a commit, and again after the database was restarted', async () => {
  const stop = new AbortController()
  let woken = 0
  const wake = () => {
    woken += 1
  }
  const listening = fixture.database.listen(OUTBOX_CHANNEL, wake, stop.signal)
  await eventually('the first wake', async () => woken > 0)
  const before = woken
  await fixture.database.transaction((client) => recordChanges(client, [change('x')]))
  await eventually('a wake by the commit', async () => woken > before)
  const up = woken
  await fixture.restart('immediate')
  await eventually('a wake after the restart', async () => woken > up)
  stop.abort()
  await listening
})

test('no changes are no row and no wake', async () => {
  await fixture.database.transaction((client) => recordChanges(client, []))
  expect(await read('0')).toEqual([])
})
