import type { Digest } from '@berth/core'
import type { Metadata } from '../../metadata.store.js'
import type { TreeLayer } from '../result/tree.js'

/** What a step gave. */
export interface CacheRecord {
  readonly key: Digest
  readonly kind: 'copy' | 'run' | 'workdir'
  /** The step in the Dockerfile's words. */
  readonly description: string
  /** Undefined for one that changed nothing. */
  readonly layer: TreeLayer | undefined
  readonly createdAtMs: number
  readonly durationMs: number
}

export interface KeptRecord extends CacheRecord {
  /** Of its layer's files. */
  readonly sizeBytes: number
  readonly usedAtMs: number
  readonly uses: number
}

/** The build cache's rows. A record keeps its layer and blob from the collector until it goes. */
export class CacheRecords {
  constructor(private readonly metadata: Metadata) {}

  put(record: CacheRecord, sizeBytes: number): void {
    this.metadata.lazily(() =>
      this.metadata.db
        .prepare(
          'INSERT OR REPLACE INTO build_record (key, record, size_bytes, used_at_ms, uses) VALUES (?, ?, ?, ?, 0)',
        )
        .run(record.key, JSON.stringify(record), sizeBytes, record.createdAtMs),
    )
  }

  find(key: Digest): CacheRecord | undefined {
    const row = this.metadata.db.prepare('SELECT record FROM build_record WHERE key = ?').get(key)
    return row ? (JSON.parse(String(row.record)) as CacheRecord) : undefined
  }

  /** All at once, since the disk is asked for each commit. */
  used(keys: readonly Digest[], nowMs: number): void {
    this.metadata.lazily(() => {
      const update = this.metadata.db.prepare(
        'UPDATE build_record SET used_at_ms = ?, uses = uses + 1 WHERE key = ?',
      )
      for (const key of keys) update.run(nowMs, key)
    })
  }

  remove(key: Digest): void {
    this.metadata.lazily(() => this.metadata.db.prepare('DELETE FROM build_record WHERE key = ?').run(key))
  }

  totalBytes(): number {
    const row = this.metadata.db.prepare('SELECT sum(size_bytes) AS total FROM build_record').get()
    return Number(row?.total ?? 0)
  }

  list(): readonly KeptRecord[] {
    return this.metadata.db
      .prepare('SELECT record, size_bytes, used_at_ms, uses FROM build_record')
      .all()
      .map((row) => ({
        ...(JSON.parse(String(row.record)) as CacheRecord),
        sizeBytes: Number(row.size_bytes),
        usedAtMs: Number(row.used_at_ms),
        uses: Number(row.uses),
      }))
  }
}
