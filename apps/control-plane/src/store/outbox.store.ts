import type { Queryable } from './database.store.js'

export interface Change {
  readonly noun: 'service' | 'task' | 'node' | 'deployment'
  readonly objectId: string
  readonly serviceId?: string
  readonly action: 'created' | 'updated' | 'removed'
}

export const OUTBOX_CHANNEL = 'berth_outbox'

/** Writes changes beside what they describe, in the same transaction, and wakes every reader when it commits. */
export async function recordChanges(client: Queryable, changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) return
  await client.query(
    `INSERT INTO outbox (noun, "objectId", "serviceId", action)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])`,
    [changes.map((c) => c.noun), changes.map((c) => c.objectId), changes.map((c) => c.serviceId ?? null), changes.map((c) => c.action)],
  )
  await client.query(`SELECT pg_notify('${OUTBOX_CHANNEL}', '')`)
}

export interface OutboxRow {
  readonly seq: string
  readonly noun: Change['noun']
  readonly objectId: string
  readonly serviceId: string | null
  readonly action: Change['action']
}

/**
 * Rows after the cursor that can no longer be overtaken: a sequence number is taken before its transaction commits, so only rows older than
 * every transaction still open are read (their xmin lies below the snapshot's).
 */
export const READ_OUTBOX = `SELECT seq::text, noun, "objectId", "serviceId", action FROM outbox
  WHERE seq > $1 AND xmin::text::bigint < (pg_snapshot_xmin(pg_current_snapshot())::text::bigint & 4294967295) ORDER BY seq LIMIT 1000`
