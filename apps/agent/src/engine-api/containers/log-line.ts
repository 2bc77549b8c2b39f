import type { LogEntry } from '@berth/runtime'

export interface LogStyle {
  readonly isTimestamped: boolean
  /** docker's `--details`: what `logDetails` gives; undefined without. */
  readonly details: string | undefined
}

/** An entry as it goes over the wire. Without its line end where the container wrote none. */
export function logLine(entry: LogEntry, style: LogStyle): Buffer {
  const timestamp = style.isTimestamped ? `${entry.timestamp} ` : ''
  return Buffer.from(
    `${timestamp}${style.details === undefined ? '' : `${style.details} `}${entry.line}${entry.partial ? '' : '\n'}`,
  )
}

/** `--tail`: a number; `all`, nothing and what is none are everything, as in docker. */
export const parseTail = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined

/** The labels and variables that the log options `labels` and `env` name, as they stand before each line. */
export function logDetails(
  options: Readonly<Record<string, unknown>>,
  labels: Readonly<Record<string, string>>,
  environment: readonly string[],
): string {
  const named = (option: string) =>
    String(options[option] ?? '')
      .split(',')
      .filter((name) => name !== '')
  const variables = Object.fromEntries(
    environment.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
  )
  const found = [
    ...named('labels').flatMap((name) => (Object.hasOwn(labels, name) ? [[name, labels[name]]] : [])),
    ...named('env').flatMap((name) => (Object.hasOwn(variables, name) ? [[name, variables[name]]] : [])),
  ]
  return found
    .map((pair) => pair.map((text) => encodeURIComponent(text ?? '').replaceAll('%20', '+')).join('='))
    .sort()
    .join(',')
}
