import { createRequire } from 'node:module'

/** Structured log: one flat line per unit of work. `child` adds fields to every line below it. */
export interface Logger {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
  child(fields: Readonly<Record<string, unknown>>): Logger
}

/**
 * JSON lines on stdout; level by name (`debug` to `error`). The library is loaded by the first call: processes that live for one task (unpackers, probes)
 * import this module without logging, and loading it takes longer than their work.
 */
export function createLogger(part: string, level = 'info'): Logger {
  const { pino } = createRequire(import.meta.url)('pino') as typeof import('pino')
  return pino({ level, base: { part }, timestamp: pino.stdTimeFunctions.isoTime }) as unknown as Logger
}

export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
}
