import type { LogEntry } from '@berth/runtime'

export interface LogStyle {
  readonly isTimestamped: boolean
  /** docker's `--details`: extra attributes of the log driver, of which there are none. */
  readonly isDetailed: boolean
}

/** An entry as it goes over the wire. Without its line end where the container wrote none. */
export function logLine(entry: LogEntry, style: LogStyle): Buffer {
  const timestamp = style.isTimestamped ? `${entry.timestamp} ` : ''
  return Buffer.from(`${timestamp}${style.isDetailed ? ' ' : ''}${entry.line}${entry.partial ? '' : '\n'}`)
}

/** `--tail`: a number; `all`, nothing and what is none are everything, as in docker. */
export const parseTail = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined
