import { type Clock, fault, type Logger } from '@berth/core'
import { createTokenSchema, nameSchema } from '@berth/domain'
import { parseInput } from './api/parse-body.js'
import type { Config } from './config/env.js'
import { AuthStore } from './store/auth.store.js'
import { ClusterStore } from './store/cluster.store.js'
import { Database } from './store/database.store.js'

const TOKEN_DAYS = 90

/** Commands that run beside a serving control plane; each answers one JSON object. @throws request.invalid */
export async function runCommand(
  config: Config,
  command: string,
  options: { name?: string | undefined },
  clock: Clock,
  logger: Logger,
): Promise<object> {
  const database = new Database(config.databaseUrl, logger)
  try {
    const auth = new AuthStore(database, clock)
    if (command === 'admin-login') return await auth.createOneTimeLogin()
    if (command === 'join-token') {
      const { token, expiresAt } = await new ClusterStore(database, config.dataDir, clock).createJoinToken(
        parseInput(nameSchema, options.name),
      )
      return { token, expiresAt: expiresAt.toISOString() }
    }
    if (command === 'api-token') {
      const { name, expiresInDays } = parseInput(createTokenSchema, {
        name: options.name,
        expiresInDays: TOKEN_DAYS,
      })
      return await auth.createToken(await auth.ensureAdmin(), name, expiresInDays)
    }
    throw fault.invalidArgument(
      'request.invalid',
      `${command} is not a command: use serve, admin-login, join-token --name NAME or api-token --name NAME`,
    )
  } finally {
    await database.close()
  }
}
