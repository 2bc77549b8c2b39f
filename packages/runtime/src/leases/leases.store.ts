import { randomUUID } from 'node:crypto'
import type { Key } from '../gc/mark.js'
import type { Metadata } from '../metadata.store.js'

/** A claim on blobs and layers that no image names yet. */
export interface Lease {
  add(keys: Iterable<Key>): void
  /** What it held is kept by an image now, or is not wanted. */
  release(): void
  /** Keeps the claim until its time is up, so that work that broke off can be taken up again, also by another process. */
  leave(): void
}

const TTL_MS = 24 * 3_600_000

/**
 * Claims in the database are for work that survives this process (pulls); claims in memory are for work that a crash undoes (builds, loads,
 * commits). A claim must be made before its holder looks whether the thing is there: what was there then stays.
 */
export class LeaseStore {
  /** Told of every key as it is claimed: the collector's write barrier. */
  onClaim: (key: Key) => void = () => {}
  private workers = 0
  private readonly touched = new Set<Key>()

  constructor(
    private readonly metadata: Metadata,
    private readonly nowMs: () => number,
  ) {}

  take(): Lease {
    const id = randomUUID()
    const { db } = this.metadata
    db.prepare('INSERT INTO lease (id, expires_at_ms) VALUES (?, ?)').run(id, this.nowMs() + TTL_MS)
    return {
      add: (keys) => this.add(id, keys),
      release: () => void db.prepare('DELETE FROM lease WHERE id = ?').run(id),
      leave: () => {},
    }
  }

  private add(id: string, keys: Iterable<Key>): void {
    this.metadata.transaction(() => {
      const insert = this.metadata.db.prepare(
        'INSERT OR IGNORE INTO lease_item (lease_id, key) VALUES (?, ?)',
      )
      for (const key of keys) {
        insert.run(id, key)
        this.onClaim(key)
      }
    })
  }

  /** Everything that is touched until the work ends, by whomever, is claimed until then. */
  async working<T>(work: () => Promise<T>): Promise<T> {
    this.workers += 1
    try {
      return await work()
    } finally {
      this.workers -= 1
      if (this.workers === 0) this.touched.clear()
    }
  }

  /** Somebody made, or found and will use, this. */
  touch(key: Key): void {
    if (this.workers > 0) this.touched.add(key)
    this.onClaim(key)
  }

  /** All keys under a claim that still holds. Claims whose time is up go. */
  claimed(): readonly Key[] {
    const { db } = this.metadata
    db.prepare('DELETE FROM lease WHERE expires_at_ms <= ?').run(this.nowMs())
    const rows = db.prepare('SELECT DISTINCT key FROM lease_item').all()
    return [...rows.map((row) => String(row.key)), ...this.touched]
  }
}
