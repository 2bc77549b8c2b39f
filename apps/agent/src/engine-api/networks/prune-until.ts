import { fault } from '@berth/core'

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/
const MS_PER_SECOND = 1_000

/** A time (seconds since 1970 or RFC 3339) or a duration before now (`10m`, `1h30m`). @throws engine.filter_invalid */
export function pruneUntilMs(text: string, nowMs: number): number {
  if (DURATION.test(text)) {
    const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
    return (
      nowMs - parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS_MS[unit ?? ''] ?? 0), 0)
    )
  }
  const time = /^\d+(\.\d+)?$/.test(text) ? Number(text) * MS_PER_SECOND : Date.parse(text)
  if (Number.isFinite(time)) return time
  throw fault.invalidArgument('engine.filter_invalid', `invalid filter 'until=${text.slice(0, 100)}'`)
}
