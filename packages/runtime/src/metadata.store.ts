import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { METADATA_MIGRATIONS } from './metadata-migrations.js'

/** The runtime's one database: which images, layers, snapshots, containers and addresses exist. */
export interface Metadata {
  readonly db: DatabaseSync
  /** All of `work` or nothing. Synchronous, so two can never interleave. */
  transaction<T>(work: () => T): T
  /**
   * As `transaction`, without waiting for the disk: it is durable with the next one that waits, and lost whole with what came after it when the
   * power fails before. For what a durable step follows, and for what recovery does again.
   */
  lazily<T>(work: () => T): T
  /** 1, 2, 3, … per name; never given twice. */
  next(counter: string): number
  close(): void
}

/** Opens `<root>/meta.db`, WAL and fully synchronous, and applies pending migrations. */
export function openMetadata(root: string): Metadata {
  mkdirSync(root, { recursive: true, mode: 0o700 })
  const db = new DatabaseSync(join(root, 'meta.db'), { timeout: 5_000 })
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;')
  migrate(db)
  const transaction = <T>(work: () => T): T => inTransaction(db, work)
  const lazily = <T>(work: () => T): T => {
    if (db.isTransaction) return work()
    db.exec('PRAGMA synchronous = NORMAL')
    try {
      return inTransaction(db, work)
    } finally {
      db.exec('PRAGMA synchronous = FULL')
    }
  }
  const next = (counter: string): number => {
    const row = db
      .prepare(
        'INSERT INTO counter (name, value) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value',
      )
      .get(counter)
    return Number(row?.value)
  }
  return { db, transaction, lazily, next, close: () => db.close() }
}

/** A UUID that stays with this data root for ever. */
export function identityOf({ db }: Metadata): string {
  db.prepare('INSERT INTO identity (id, uuid) VALUES (1, ?) ON CONFLICT (id) DO NOTHING').run(randomUUID())
  return String(db.prepare('SELECT uuid FROM identity WHERE id = 1').get()?.uuid)
}

function migrate(db: DatabaseSync): void {
  const applied = Number(db.prepare('PRAGMA user_version').get()?.user_version ?? 0)
  METADATA_MIGRATIONS.slice(applied).forEach((sql, index) => {
    inTransaction(db, () => db.exec(`${sql}\nPRAGMA user_version = ${applied + index + 1};`))
  })
}

function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  if (db.isTransaction) return work()
  db.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    db.exec('COMMIT')
    return result
  } catch (error) {
    db.exec('ROLLBACK')
    throw error
  }
}
