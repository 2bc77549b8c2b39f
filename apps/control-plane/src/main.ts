import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { backoffMs, createLogger, Fault, type Logger, systemClock } from '@berth/core'
import { runCommand } from './commands.exec.js'
import { type Config, readConfig } from './config/env.js'
import { serve } from './serve.exec.js'
import { migrate } from './store/migrate.store.js'

const MIGRATIONS = fileURLToPath(new URL('../../../prisma/migrations', import.meta.url))
const EXIT_DEADLINE_MS = 5_000

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({ allowPositionals: true, options: { name: { type: 'string' } } })
  const command = positionals[0] ?? 'serve'
  const config = readConfig(process.env, randomUUID())
  const logger = createLogger('control-plane', config.logLevel)
  if (command === 'serve') return run(config, logger)
  await migrate(config.databaseUrl, MIGRATIONS, logger)
  process.stdout.write(`${JSON.stringify(await runCommand(config, command, values, systemClock, logger))}\n`)
}

async function run(config: Config, logger: Logger): Promise<void> {
  process.on('unhandledRejection', (error) =>
    logger.error(
      { error: String(error), stack: error instanceof Error ? error.stack : undefined },
      'a promise failed unseen',
    ),
  )
  const serving = await whenDatabaseIsThere(logger, async () => {
    await migrate(config.databaseUrl, MIGRATIONS, logger)
    return serve(config, systemClock, logger)
  })
  const stop = (signal: string) => {
    logger.info({ signal }, 'stopping')
    setTimeout(() => process.exit(1), EXIT_DEADLINE_MS).unref()
    void serving.close().then(() => process.exit(0))
  }
  process.once('SIGTERM', () => stop('SIGTERM'))
  process.once('SIGINT', () => stop('SIGINT'))
}

/** A database that is away at boot is waited for; any other fault ends the process with its reason. */
async function whenDatabaseIsThere<T>(logger: Logger, work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      const failure = Fault.from(error)
      if (failure.code !== 'store.unavailable') throw failure
      logger.warn({ error: failure.message }, 'waiting for the database')
      await systemClock.sleep(backoffMs({ initialMs: 200, maxMs: 3_000 }, attempt, Math.random()))
    }
  }
}

main().catch((error: unknown) => {
  const failure = Fault.from(error)
  process.stderr.write(`berth control plane: ${failure.message} (${failure.code})\n`)
  if (failure.kind === 'internal' && failure.stack) process.stderr.write(`${failure.stack}\n`)
  process.exit(1)
})
