import { pino } from 'pino'

/** Structured log: one flat line per unit of work. `child` adds fields to every line below it. */
export interface Logger {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
  child(fields: Readonly<Record<string, unknown>>): Logger
}

/** JSON lines on stdout; level by name (`debug` to `error`). */
export function createLogger(part: string, level = 'info'): Logger {
  return pino({ level, base: { part }, timestamp: pino.stdTimeFunctions.isoTime }) as unknown as Logger
}

export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
}
