import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import { type EmbeddedPostgres, ensureEmbeddedPostgres } from './postgres.exec.js'
import { testDatabase } from './test-database.exec.js'

const ends: (() => Promise<void>)[] = []
afterAll(async () => {
  for (const end of ends) await end()
})

async function place(): Promise<{ dir: string; port: number }> {
  const parent = mkdtempSync(join(tmpdir(), 'berth-pg-int-'))
  await promisify(execFile)('chmod', ['755', parent])
  ends.unshift(async () => rmSync(parent, { recursive: true, force: true }))
  return { dir: join(parent, 'pg'), port: await freePort() }
}

async function start(options: { dir: string; port: number }): Promise<EmbeddedPostgres> {
  const server = await ensureEmbeddedPostgres({ ...options, unsafeFast: true })
  ends.unshift(() => server.stop('immediate'))
  return server
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

async function ask(url: string, sql: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => {})
  await client.connect()
  try {
    const { rows } = await client.query<{ answer: unknown }>(sql)
    return rows[0]?.answer
  } finally {
    await client.end()
  }
}

const postmaster = (dir: string): number =>
  Number(readFileSync(join(dir, 'data', 'postmaster.pid'), 'utf8').split('\n')[0])

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}

async function eventually(what: string, holds: () => boolean): Promise<void> {
  const until = Date.now() + 10_000
  while (!holds()) {
    if (Date.now() > until) throw new Error(`${what} did not happen within 10 s`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('it starts, is left alone when it runs, survives kill -9, stops, and keeps its data and password', async () => {
  const options = await place()
  const server = await start(options)
  await ask(server.url, 'CREATE TABLE kept AS SELECT 42 AS answer')
  const first = postmaster(options.dir)

  const again = await ensureEmbeddedPostgres({ ...options, unsafeFast: true })
  expect(again.url).toBe(server.url)
  expect(postmaster(options.dir)).toBe(first)

  const holder = new pg.Client({ connectionString: server.url })
  holder.on('error', () => {})
  await holder.connect()
  process.kill(first, 'SIGKILL')
  const revived = await start(options)
  expect(postmaster(options.dir)).not.toBe(first)
  await holder.end().catch(() => {})
  expect(await ask(revived.url, 'SELECT answer FROM kept')).toBe(42)

  const last = postmaster(options.dir)
  await revived.stop()
  await eventually('the end of the stopped server', () => !isAlive(last))
  await expect(ask(revived.url, 'SELECT 1 AS answer')).rejects.toThrow()
  await expect(revived.stop(), 'stopping twice is not a mistake').resolves.toBeUndefined()

  const third = await start(options)
  expect(third.url).toBe(server.url)
  expect(await ask(third.url, 'SELECT answer FROM kept')).toBe(42)
})

test('two data directories serve at the same time and know nothing of each other', async () => {
  const [a, b] = await Promise.all([testDatabase(), testDatabase()])
  ends.unshift(a.dispose, b.dispose)
  expect(a.url).not.toBe(b.url)
  await Promise.all([
    ask(a.url, 'CREATE TABLE only_a (answer int)'),
    ask(b.url, 'CREATE TABLE only_b (answer int)'),
  ])
  const find = (url: string, table: string) =>
    ask(url, `SELECT to_regclass('${table}') IS NOT NULL AS answer`)
  expect(await find(a.url, 'only_a')).toBe(true)
  expect(await find(a.url, 'only_b')).toBe(false)
  await a.restart('immediate')
  expect(await find(a.url, 'only_a'), 'a crash loses nothing committed').toBe(true)
  expect(await find(b.url, 'only_b')).toBe(true)
})

test('the data and the password are for its own account only, and a wrong password is refused', async () => {
  const options = await place()
  const server = await start(options)
  expect(statSync(join(options.dir, 'password')).mode & 0o077).toBe(0)
  expect(statSync(join(options.dir, 'data')).mode & 0o077).toBe(0)
  const wrong = new URL(server.url)
  wrong.password = 'wrong'
  await expect(ask(wrong.href, 'SELECT 1 AS answer')).rejects.toMatchObject({ code: '28P01' })
  if (process.getuid?.() === 0)
    expect(statSync(`/proc/${postmaster(options.dir)}`).uid, 'never as root').not.toBe(0)
})

test('a port in use is a fault that names the port and the reason', async () => {
  const options = await place()
  const holder = createServer()
  await new Promise<void>((resolve) => holder.listen(options.port, '127.0.0.1', resolve))
  try {
    await expect(ensureEmbeddedPostgres({ ...options, unsafeFast: true })).rejects.toMatchObject({
      code: 'postgres.start_failed',
      message: expect.stringMatching(new RegExp(`${options.port}.*could not|in use`, 'i')),
    })
  } finally {
    await new Promise((resolve) => holder.close(resolve))
  }
  const server = await start(options)
  expect(await ask(server.url, 'SELECT 1 AS answer'), 'the next try succeeds').toBe(1)
})

test('a start that died half way through initdb is repaired by the next', async () => {
  const options = await place()
  mkdirSync(join(options.dir, 'data.unfinished', 'global'), { recursive: true })
  writeFileSync(join(options.dir, 'data.unfinished', 'PG_VERSION'), '18')
  writeFileSync(join(options.dir, 'password'), '')
  const again = await start(options)
  expect(await ask(again.url, 'SELECT 1 AS answer')).toBe(1)
})

test('disposing a test database leaves neither process nor file', async () => {
  const database = await testDatabase()
  const data = String(await ask(database.url, "SELECT current_setting('data_directory') AS answer"))
  const pid = postmaster(dirname(data))
  await database.dispose()
  await eventually('the end of the disposed server', () => !isAlive(pid))
  expect(existsSync(dirname(data))).toBe(false)
})
