import { hostname } from 'node:os'
import { parseArgs } from 'node:util'
import { createLogger, Fault, systemClock } from '@berth/core'
import { startAgent } from './agent.js'
import { readConfig } from './config/env.js'
import { doctor } from './doctor/doctor.exec.js'

const EXIT_DEADLINE_MS = 2_000

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { fix: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
  })
  const command = positionals[0] ?? 'serve'
  if (command === 'doctor') {
    process.exitCode = await doctor({ fix: values.fix, json: values.json })
    return
  }
  if (command !== 'serve')
    throw new RangeError(`${command} is not a command: use serve, or doctor [--fix] [--json]`)
  await serve()
}

async function serve(): Promise<void> {
  const config = readConfig(process.env, hostname())
  const logger = createLogger('agent', config.logLevel)
  const stop = new AbortController()
  process.on('unhandledRejection', (error) =>
    logger.error(
      { error: String(error), stack: error instanceof Error ? error.stack : undefined },
      'a promise failed unseen',
    ),
  )
  const starting = startAgent(config, systemClock, logger, stop.signal)
  const end = (signal: string) => {
    logger.info({ signal }, 'stopping; containers run on')
    setTimeout(() => process.exit(0), EXIT_DEADLINE_MS).unref()
    stop.abort(new Error('the agent is stopping'))
    void starting.then((agent) => agent.close()).then(() => process.exit(0))
  }
  process.once('SIGTERM', () => end('SIGTERM'))
  process.once('SIGINT', () => end('SIGINT'))
  await starting
}

main().catch((error: unknown) => {
  const failure = Fault.from(error)
  process.stderr.write(`berth agent: ${failure.message} (${failure.code})\n`)
  if (failure.kind === 'internal' && failure.stack) process.stderr.write(`${failure.stack}\n`)
  process.exit(1)
})
