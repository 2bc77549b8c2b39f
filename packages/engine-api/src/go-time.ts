import { fault } from '@berth/core'

/** What Go's zero time looks like in docker's answers: something that has not happened. */
export const ZERO_TIME = '0001-01-01T00:00:00Z'

const NANOS_PER_MS = 1_000_000n
const NANOS_PER_SECOND = 1_000_000_000n
const UNIX = /^(-?\d{1,15})(?:\.(\d{1,9}))?$/
const RFC3339 = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})?)?$/
const DURATION_PART = /(\d{1,15})(?:\.(\d{0,15}))?(ns|us|µs|μs|ms|s|m|h)/y
const NANOS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

const invalid = (text: string) =>
  fault.invalidArgument(
    'engine.time_invalid',
    `invalid time ${JSON.stringify(text.slice(0, 100))}: expected seconds, RFC 3339 or a duration such as 10m`,
  )

/**
 * `since` and `until` as clients send them: unix seconds with up to nine decimals, RFC 3339 (UTC where it names no zone), or a duration before now.
 * `0` and absent are undefined: no bound.
 * @throws engine.time_invalid
 */
export function parseTimeNanos(text: string | undefined, nowMs: number): bigint | undefined {
  if (text === undefined || text === '' || text === '0') return undefined
  const unix = UNIX.exec(text)
  if (unix) return unixNanos(unix[1] ?? '0', unix[2] ?? '')
  const date = RFC3339.exec(text)
  if (date) return dateNanos(text, date)
  const agoNanos = parseGoDuration(text)
  if (agoNanos === undefined) throw invalid(text)
  return BigInt(Math.trunc(nowMs)) * NANOS_PER_MS - BigInt(agoNanos)
}

const fraction = (digits: string): bigint => BigInt(digits.padEnd(9, '0'))

function unixNanos(seconds: string, decimals: string): bigint {
  const whole = BigInt(seconds) * NANOS_PER_SECOND
  return seconds.startsWith('-') ? whole - fraction(decimals) : whole + fraction(decimals)
}

function dateNanos(
  text: string,
  [, day = '', time = '00:00', decimals = '', zone = 'Z']: RegExpExecArray,
): bigint {
  const ms = Date.parse(`${day}T${time.length === 5 ? `${time}:00` : time}${zone}`)
  if (Number.isNaN(ms)) throw invalid(text)
  return BigInt(ms) * NANOS_PER_MS + fraction(decimals)
}

/** `1h30m`, `1.5s`, `300ms` in nanoseconds; undefined for anything else. */
export function parseGoDuration(text: string): number | undefined {
  const [, sign = '', rest = ''] = /^([+-]?)(.*)$/s.exec(text) ?? []
  if (rest === '0') return 0
  if (rest === '' || rest.length > 100) return undefined
  let nanos = 0
  DURATION_PART.lastIndex = 0
  while (DURATION_PART.lastIndex < rest.length) {
    const part = DURATION_PART.exec(rest)
    if (!part) return undefined
    nanos += Number(`${part[1]}.${part[2] || '0'}`) * (NANOS[part[3] ?? ''] ?? 0)
  }
  if (!Number.isSafeInteger(Math.round(nanos))) return undefined
  return Math.round(sign === '-' ? -nanos : nanos)
}

/** Unix seconds with nine decimals, as docker's log details and events have them. */
export const unixSeconds = (iso: string): number => Math.floor(Date.parse(iso) / 1000)

/** A time as Go prints it: undefined is Go's zero time. */
export const goTime = (iso: string | undefined): string => iso ?? ZERO_TIME
