import { backoffMs, Fault, fault, type Logger, systemClock } from '@berth/core'
import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { PrismaClient } from './gen/client.js'

/** What a query may be sent through: the pool, or one connection inside a transaction. */
export type Queryable = Pick<pg.Pool | pg.PoolClient, 'query'>

/** Connections to Postgres. A database that is away makes calls fail with `store.unavailable`; it never ends the process. */
export class Database {
  readonly pool: pg.Pool
  readonly prisma: PrismaClient

  constructor(
    private readonly url: string,
    private readonly logger: Logger,
  ) {
    this.pool = new pg.Pool({
      connectionString: url,
      max: 16,
      connectionTimeoutMillis: 5_000,
      statement_timeout: 10_000,
      keepAlive: true,
    })
    this.pool.on('error', (error) =>
      this.logger.warn({ error: error.message }, 'an idle database connection broke'),
    )
    this.prisma = new PrismaClient({
      adapter: new PrismaPg({ connectionString: url, max: 4, connectionTimeoutMillis: 5_000 }),
    })
  }

  /** @throws store.unavailable */
  async query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    try {
      return (await this.pool.query<Row>(text, [...values])).rows
    } catch (error) {
      throw storeFault(error)
    }
  }

  /** All of `work` or nothing; a serialization failure or deadlock is tried again, at most five times. @throws store.unavailable, store.busy */
  async transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.once(work)
      } catch (error) {
        if (!isContention(error) || attempt >= CONTENTION_TRIES) throw storeFault(error)
        await systemClock.sleep(backoffMs({ initialMs: 20, maxMs: 500 }, attempt, Math.random()))
      }
    }
  }

  private async once<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.pool.connect()
    let broken: Error | undefined
    // The pool watches idle connections only: without this, one that breaks in the middle of a transaction ends the process.
    const onError = (error: Error) => {
      broken = error
    }
    client.on('error', onError)
    try {
      await client.query('BEGIN')
      const result = await work(client)
      await client.query('COMMIT')
      return result
    } catch (error) {
      await client.query('ROLLBACK').catch((failure: Error) => {
        broken = failure
      })
      throw error
    } finally {
      client.off('error', onError)
      client.release(broken)
    }
  }

  /** Runs a Prisma call with the store's faults. */
  async call<T>(work: (prisma: PrismaClient) => Promise<T>): Promise<T> {
    try {
      return await work(this.prisma)
    } catch (error) {
      throw storeFault(error)
    }
  }

  /** Calls `wake` on every NOTIFY of the channel and after every reconnect; ends with the signal. */
  async listen(channel: string, wake: () => void, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt++) {
      const client = new pg.Client({
        connectionString: this.url,
        connectionTimeoutMillis: 5_000,
        keepAlive: true,
      })
      const ended = new Promise<void>((resolve) => {
        client.once('error', () => resolve())
        client.once('end', () => resolve())
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
      try {
        await client.connect()
        client.on('notification', wake)
        await client.query(`LISTEN ${pg.escapeIdentifier(channel)}`)
        attempt = 0
        wake()
        await ended
      } catch {
        await systemClock
          .sleep(backoffMs({ initialMs: 100, maxMs: 2_000 }, attempt, Math.random()), signal)
          .catch(() => {})
      }
      client.removeAllListeners('notification')
      client.on('error', () => {})
      await client.end().catch(() => {})
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.pool.end(), this.prisma.$disconnect()])
  }
}

const CONTENTION_TRIES = 5
const isContention = (error: unknown): boolean =>
  ['40001', '40P01'].includes(String((error as { code?: unknown }).code))

/** SQLSTATE classes and socket errors that mean "the database is away for now". */
const AWAY = /^(?:08|53|57P|25P03)|^E[A-Z]+$|^P1\d{3}$|^P2024$/

/** A database error as a Fault: away → unavailable, contention → conflict, anything else internal. */
export function storeFault(error: unknown): Fault {
  if (error instanceof Fault) return error
  const code = String((error as { code?: unknown }).code ?? '')
  const message = error instanceof Error ? error.message : String(error)
  if (isContention(error))
    return fault.conflict('store.busy', 'too many changes at the same moment: try again', {
      cause: error,
      retryAfterMs: 200,
    })
  if (
    AWAY.test(code) ||
    /timeout exceeded|terminated|ended|ECONN|not queryable|server closed|Can't reach/i.test(message)
  ) {
    return fault.unavailable(
      'store.unavailable',
      'the database does not answer: running containers are not affected; try again shortly',
      { cause: error, retryAfterMs: 2_000 },
    )
  }
  return fault.internal('store.failed', `a database statement failed: ${message}`, { cause: error })
}
