import { fileURLToPath } from 'node:url'
import { silentLogger } from '@berth/core'
import { testDatabase } from '@berth/embedded-postgres'
import { Database } from '../store/database.store.js'
import { migrate } from '../store/migrate.store.js'

export const MIGRATIONS = fileURLToPath(new URL('../../../../prisma/migrations', import.meta.url))

export interface StoreFixture {
  readonly url: string
  readonly database: Database
  restart(mode: 'fast' | 'immediate'): Promise<void>
  dispose(): Promise<void>
}

/** A migrated database on a server of its own. */
export async function aDatabase(): Promise<StoreFixture> {
  const server = await testDatabase()
  await migrate(server.url, MIGRATIONS, silentLogger)
  const database = new Database(server.url, silentLogger)
  return {
    url: server.url,
    database,
    restart: (mode) => server.restart(mode),
    dispose: async () => {
      await database.close()
      await server.dispose()
    },
  }
}

/** Polls until it holds. */
export async function eventually(
  what: string,
  holds: () => Promise<boolean>,
  withinMs = 15_000,
): Promise<void> {
  const until = Date.now() + withinMs
  while (!(await holds())) {
    if (Date.now() > until) throw new Error(`${what}: not within ${withinMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
