import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { open } from 'node:fs/promises'
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
  /**
   * Resolves when all that was committed before this call is on disk. In the thread pool, and once for all who ask meanwhile: ten containers that
   * start together wait for the disk together, and the main thread never does.
   */
  durable(): Promise<void>
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
  let isNamed = false
  const durable = shared(async () => {
    await syncIfThere(join(root, 'meta.db-wal'))
    if (!isNamed) await syncIfThere(root)
    isNamed = true
  })
  return { db, transaction, lazily, durable, next, close: () => db.close() }
}

/** The log of writes is all that a commit has written; it goes when the database is closed, which has everything then. */
async function syncIfThere(path: string): Promise<void> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  try {
    await file?.datasync()
  } finally {
    await file?.close()
  }
}

/** One run at a time, begun after the call it answers; calls that come before it has begun share it. */
function shared(run: () => Promise<void>): () => Promise<void> {
  let last: Promise<void> = Promise.resolve()
  let next: Promise<void> | undefined
  return () => {
    next ??= last
      .catch(() => {})
      .then(() => {
        next = undefined
        last = run()
        return last
      })
    return next
  }
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
