import { createHash, randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fault, type Logger } from '@berth/core'
import pg from 'pg'

const LOCK = 72_707_369
const TABLE = `CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
  id VARCHAR(36) PRIMARY KEY, checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ, migration_name VARCHAR(255) NOT NULL, logs TEXT,
  rolled_back_at TIMESTAMPTZ, started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0)`

interface Migration {
  readonly name: string
  readonly sql: string
  readonly checksum: string
}

/**
 * Applies pending migrations in order, under a lock, in Prisma's own bookkeeping table (so `prisma migrate status` agrees). Idempotent; several
 * processes may call it at once. @throws migrate.changed (an applied file was edited), migrate.failed
 */
export async function migrate(databaseUrl: string, dir: string, logger: Logger): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 })
  await client.connect().catch((cause) => {
    throw fault.unavailable('store.unavailable', `the database does not answer: ${String(cause)}`, { cause })
  })
  try {
    await client.query('SELECT pg_advisory_lock($1)', [LOCK])
    await client.query(TABLE)
    const applied = await client.query<{
      migration_name: string
      checksum: string
      finished_at: Date | null
    }>('SELECT migration_name, checksum, finished_at FROM "_prisma_migrations" WHERE rolled_back_at IS NULL')
    const known = new Map(applied.rows.map((row) => [row.migration_name, row]))
    for (const migration of readMigrations(dir)) {
      const row = known.get(migration.name)
      if (row && row.finished_at === null)
        throw fault.failedPrecondition(
          'migrate.failed',
          `migration ${migration.name} was left unfinished: resolve it with prisma migrate resolve`,
        )
      if (row && row.checksum !== migration.checksum)
        throw fault.failedPrecondition(
          'migrate.changed',
          `migration ${migration.name} was changed after it was applied: restore the file and write a new migration`,
        )
      if (!row) await apply(client, migration, logger)
    }
  } finally {
    await client.end()
  }
}

function readMigrations(dir: string): readonly Migration[] {
  return readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
    .map((name) => {
      const sql = readFileSync(join(dir, name, 'migration.sql'), 'utf8')
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') }
    })
}

/** Statements and their record in one transaction: a crash leaves nothing half. */
async function apply(client: pg.Client, migration: Migration, logger: Logger): Promise<void> {
  await client.query('BEGIN')
  try {
    await client.query(migration.sql)
    await client.query(
      'INSERT INTO "_prisma_migrations" (id, checksum, migration_name, finished_at, applied_steps_count) VALUES ($1, $2, $3, now(), 1)',
      [randomUUID(), migration.checksum, migration.name],
    )
    await client.query('COMMIT')
    logger.info({ migration: migration.name }, 'migration applied')
  } catch (cause) {
    await client.query('ROLLBACK')
    throw fault.internal('migrate.failed', `migration ${migration.name} failed: ${String(cause)}`, { cause })
  }
}
