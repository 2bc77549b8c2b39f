import { fault } from '@berth/core'
import pg from 'pg'
import type { Queryable } from './database.store.js'

const LOCK_CLASS = 0x62657274
const LEASE_MS = 10_000

/**
 * Who leads: a lease row whose epoch grows with every change of leader. The leader also holds an advisory lock named by its epoch on the
 * connection it renews through, so that a leader that died is succeeded at once and one that hangs after the lease ran out.
 */
export class LeaderStore {
  private client: pg.Client | undefined

  constructor(
    private readonly databaseUrl: string,
    private readonly holder: string,
  ) {}

  /** The new epoch when this process became leader; undefined while another one leads. */
  async tryLead(): Promise<bigint | undefined> {
    const client = await this.connect()
    await client.query(
      `INSERT INTO leader_lease (id, holder, epoch, "expiresAt") VALUES (1, '', 0, now() - interval '1 minute') ON CONFLICT DO NOTHING`,
    )
    const { rows } = await client.query<{ epoch: string; expired: boolean }>(
      'SELECT epoch::text, "expiresAt" < now() AS expired FROM leader_lease WHERE id = 1',
    )
    const [row] = rows
    if (!row) return undefined
    const free = await this.tryLock(client, row.epoch)
    try {
      return row.expired || free ? await this.takeOver(client, row.epoch) : undefined
    } finally {
      if (free) await this.unlock(client, row.epoch)
    }
  }

  /** The next epoch's lock is held before the epoch can be read, so that nobody ever finds a living leader's lock free. */
  private async takeOver(client: pg.Client, epoch: string): Promise<bigint | undefined> {
    const next = String(BigInt(epoch) + 1n)
    if (!(await this.tryLock(client, next))) return undefined
    let won = false
    try {
      const { rowCount } = await client.query(
        `UPDATE leader_lease SET holder = $1, epoch = epoch + 1, "expiresAt" = now() + make_interval(secs => $2) WHERE id = 1 AND epoch = $3`,
        [this.holder, LEASE_MS / 1000, epoch],
      )
      won = rowCount === 1
      return won ? BigInt(next) : undefined
    } finally {
      if (!won) await this.unlock(client, next)
    }
  }

  private async tryLock(client: pg.Client, epoch: string): Promise<boolean> {
    const { rows } = await client.query<{ locked: boolean }>(
      'SELECT pg_try_advisory_lock($1, $2::int) AS locked',
      [LOCK_CLASS, lockKey(epoch)],
    )
    return rows[0]?.locked === true
  }

  private async unlock(client: pg.Client, epoch: string): Promise<void> {
    await client.query('SELECT pg_advisory_unlock($1, $2::int)', [LOCK_CLASS, lockKey(epoch)])
  }

  /** False when the lease was lost. */
  async renew(epoch: bigint): Promise<boolean> {
    const client = await this.connect()
    const { rowCount } = await client.query(
      `UPDATE leader_lease SET "expiresAt" = now() + make_interval(secs => $3) WHERE id = 1 AND epoch = $1 AND holder = $2`,
      [epoch.toString(), this.holder, LEASE_MS / 1000],
    )
    return rowCount === 1
  }

  private async connect(): Promise<pg.Client> {
    if (this.client) return this.client
    const client = new pg.Client({
      connectionString: this.databaseUrl,
      connectionTimeoutMillis: 3_000,
      statement_timeout: 5_000,
      keepAlive: true,
    })
    client.on('error', () => {
      if (this.client === client) this.client = undefined
    })
    client.on('end', () => {
      if (this.client === client) this.client = undefined
    })
    await client.connect()
    this.client = client
    return client
  }

  async close(): Promise<void> {
    const { client } = this
    this.client = undefined
    await client?.end().catch(() => {})
  }
}

const lockKey = (epoch: string): number => Number(BigInt(epoch) % 2_147_483_647n)

/** Inside a transaction: fails it unless this epoch still leads. @throws leader.lost */
export async function assertLeads(client: Queryable, epoch: bigint): Promise<void> {
  const { rowCount } = await client.query(
    'SELECT 1 FROM leader_lease WHERE id = 1 AND epoch = $1 FOR SHARE',
    [epoch.toString()],
  )
  if (rowCount !== 1)
    throw fault.conflict('leader.lost', `epoch ${epoch} leads no more`, { retryable: false })
}
