import { hostname } from 'node:os'
import { parseArgs } from 'node:util'
import { createLogger, Fault, type Logger, systemClock } from '@berth/core'
import { startAgent } from './agent.js'
import { readConfig } from './config/env.js'
import { readStandaloneConfig, STANDALONE_FLAGS } from './config/standalone.js'
import { doctor } from './doctor/doctor.exec.js'
import { protectFromOom } from './oom-score.exec.js'
import { startStandalone } from './standalone.exec.js'

const EXIT_DEADLINE_MS = 2_000

/** `serve`, `serve --standalone` and `doctor`. Ends the process when it fails. */
export const runCommandLine = (): Promise<void> => perform().catch(fail)

async function perform(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      fix: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      standalone: { type: 'boolean', default: false },
      ...STANDALONE_FLAGS,
    },
  })
  const command = positionals[0] ?? 'serve'
  if (command === 'doctor') {
    process.exitCode = await doctor({ fix: values.fix, json: values.json })
    return
  }
  if (command !== 'serve')
    throw new RangeError(
      `${command} is not a command: use serve, serve --standalone, or doctor [--fix] [--json]`,
    )
  if (values.standalone) await serveStandalone(values)
  else await serve()
}

async function serve(): Promise<void> {
  const config = readConfig(process.env, hostname())
  const logger = createLogger('agent', config.logLevel)
  protectFromOom(logger)
  const stop = new AbortController()
  await runUntilSignal(startAgent(config, systemClock, logger, stop.signal), logger, stop)
}

async function serveStandalone(flags: Readonly<Record<string, unknown>>): Promise<void> {
  const config = readStandaloneConfig(flags, process.env)
  const logger = createLogger('engine', config.logLevel)
  protectFromOom(logger)
  await runUntilSignal(startStandalone(config, systemClock, logger), logger, new AbortController())
}

async function runUntilSignal(
  starting: Promise<{ close(): Promise<void> }>,
  logger: Logger,
  stop: AbortController,
): Promise<void> {
  process.on('unhandledRejection', (error) =>
    logger.error(
      { error: String(error), stack: error instanceof Error ? error.stack : undefined },
      'a promise failed unseen',
    ),
  )
  const end = (signal: string) => {
    logger.info({ signal }, 'stopping; containers run on')
    setTimeout(() => process.exit(0), EXIT_DEADLINE_MS).unref()
    stop.abort(new Error('the agent is stopping'))
    void starting.then((running) => running.close()).then(() => process.exit(0))
  }
  process.once('SIGTERM', () => end('SIGTERM'))
  process.once('SIGINT', () => end('SIGINT'))
  await starting
}

function fail(error: unknown): never {
  const failure = Fault.from(error)
  process.stderr.write(`berth agent: ${failure.message} (${failure.code})\n`)
  if (failure.kind === 'internal' && failure.stack) process.stderr.write(`${failure.stack}\n`)
  process.exit(1)
}
