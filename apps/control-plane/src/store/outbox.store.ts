import type { Queryable } from './database.store.js'

export interface Change {
  readonly noun: 'service' | 'task' | 'node' | 'deployment'
  readonly objectId: string
  readonly serviceId?: string
  readonly action: 'created' | 'updated' | 'removed'
}

export const OUTBOX_CHANNEL = 'berth_outbox'

const LOCK = 72_707_370

/**
 * Writes changes beside what they describe, in the same transaction, and wakes every reader when it commits. Call it last: from here to the
 * commit writers take turns, so that numbers become visible in their order and a reader's cursor never passes one that is still to come.
 */
export async function recordChanges(client: Queryable, changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) return
  await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK])
  await client.query(
    `INSERT INTO outbox (noun, "objectId", "serviceId", action)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])`,
    [
      changes.map((c) => c.noun),
      changes.map((c) => c.objectId),
      changes.map((c) => c.serviceId ?? null),
      changes.map((c) => c.action),
    ],
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

/** Rows after the cursor, in the order in which they became visible. */
export const READ_OUTBOX = `SELECT o.seq::text, o.noun, o."objectId", o."serviceId", o.action FROM outbox o
  WHERE o.seq > $1 ORDER BY o.seq LIMIT 1000`
