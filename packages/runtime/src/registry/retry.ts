import { type BackoffPolicy, backoffMs, type Fault } from '@berth/core'

/** How a client waits and gives up; the defaults are what reliability.md F32 asks for. */
export interface Patience {
  readonly tries: number
  readonly backoff: BackoffPolicy
  /** No byte for this long, or no whole answer header, ends a request. */
  readonly idleTimeoutMs: number
  /** Fewer bytes of a blob than this in `idleTimeoutMs` count as none. */
  readonly progressMinBytes: number
}
export const PATIENCE: Patience = {
  tries: 5,
  backoff: { initialMs: 200, maxMs: 5_000 },
  idleTimeoutMs: 60_000,
  progressMinBytes: 1_024,
}
const RETRY_AFTER_MAX_MS = 60_000

export function retryDelayMs(patience: Patience, attempt: number, failure: Fault, random: number): number {
  return Math.min(failure.retryAfterMs ?? backoffMs(patience.backoff, attempt, random), RETRY_AFTER_MAX_MS)
}

/** Seconds, or a date; what is neither is left to our own backoff. */
export function parseRetryAfter(header: string | undefined, nowMs: number): { retryAfterMs?: number } {
  if (header === undefined) return {}
  if (/^\d{1,6}$/.test(header.trim())) return { retryAfterMs: Number(header) * 1000 }
  const date = Date.parse(header)
  return Number.isNaN(date) ? {} : { retryAfterMs: Math.max(0, date - nowMs) }
}
