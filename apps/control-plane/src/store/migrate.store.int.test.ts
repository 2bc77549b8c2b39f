import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '@berth/core'
import { testDatabase } from '@berth/embedded-postgres'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { MIGRATIONS } from '../testing/database.js'
import { migrate } from './migrate.store.js'

let server: Awaited<ReturnType<typeof testDatabase>>
let dir: string
let url: string
beforeAll(async () => {
  server = await testDatabase()
  dir = mkdtempSync(join(tmpdir(), 'berth-migrate-'))
})
afterAll(async () => {
  await server.dispose()
  rmSync(dir, { recursive: true, force: true })
})

let made = 0
beforeEach(async () => {
  const name = `m${made++}`
  await ask(server.url, `CREATE DATABASE ${name}`)
  url = server.url.replace(/\/postgres$/, `/${name}`)
})

async function ask(target: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: target })
  await client.connect()
  try {
    return (await client.query(sql)).rows as Record<string, unknown>[]
  } finally {
    await client.end()
  }
}

const records = () =>
  ask(
    url,
    'SELECT migration_name, checksum, finished_at IS NOT NULL AS done FROM _prisma_migrations ORDER BY 1',
  )

/** The real migrations and more of our own. */
function copied(...more: readonly (readonly [name: string, sql: string])[]): string {
  const copy = mkdtempSync(join(dir, 'c-'))
  cpSync(MIGRATIONS, copy, { recursive: true })
  for (const [name, sql] of more) {
    mkdirSync(join(copy, name), { recursive: true })
    writeFileSync(join(copy, name, 'migration.sql'), sql)
  }
  return copy
}

test('a second time is no change', async () => {
  await migrate(url, MIGRATIONS, silentLogger)
  const before = await records()
  expect(before.length).toBeGreaterThan(0)
  await migrate(url, MIGRATIONS, silentLogger)
  expect(await records()).toEqual(before)
})

test('eight processes at once apply each migration once', async () => {
  const copy = copied(['29990101000000_more', 'CREATE TABLE more (id int); INSERT INTO more VALUES (1);'])
  await Promise.all(Array.from({ length: 8 }, () => migrate(url, copy, silentLogger)))
  const names = (await records()).map((row) => row.migration_name)
  expect(names).toEqual([...new Set(names)])
  expect(await ask(url, 'SELECT id FROM more')).toEqual([{ id: 1 }])
})

test('a migration that fails leaves nothing behind, says which, and can be repaired', async () => {
  const broken = copied(['29990101000000_bad', 'CREATE TABLE half (id int); SELECT no_such_function();'])
  await expect(migrate(url, broken, silentLogger)).rejects.toMatchObject({
    code: 'migrate.failed',
    message: expect.stringContaining('29990101000000_bad'),
  })
  expect(await ask(url, `SELECT to_regclass('half') AS half`)).toEqual([{ half: null }])
  await migrate(url, copied(['29990101000000_bad', 'CREATE TABLE half (id int)']), silentLogger)
  expect((await records()).at(-1)).toMatchObject({ migration_name: '29990101000000_bad', done: true })
})

test('an applied migration that was edited is refused before anything new is applied', async () => {
  await migrate(url, copied(['29990101000000_a', 'CREATE TABLE a (id int)']), silentLogger)
  const edited = copied(
    ['29990101000000_a', 'CREATE TABLE a (id bigint)'],
    ['29990102000000_b', 'CREATE TABLE b ()'],
  )
  await expect(migrate(url, edited, silentLogger)).rejects.toMatchObject({ code: 'migrate.changed' })
  expect(await ask(url, `SELECT to_regclass('b') AS b`)).toEqual([{ b: null }])
})

test('a database that is away is unavailable, not broken', async () => {
  await expect(migrate('postgresql://x:y@127.0.0.1:1/z', MIGRATIONS, silentLogger)).rejects.toMatchObject({
    code: 'store.unavailable',
    retryable: true,
  })
})
