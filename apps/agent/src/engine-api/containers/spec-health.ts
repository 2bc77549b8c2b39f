import type { HealthCheck, ImageConfig } from '@berth/runtime'
import { compact } from './compact.js'
import type { HealthBody } from './create-body.js'
import { refuse } from './refuse.js'

const NANOS_PER_MS = 1e6
/** docker's own. */
const START_INTERVAL_NANOS = 5e9
const WORDS = {
  Interval: 'Interval',
  Timeout: 'Timeout',
  StartPeriod: 'StartPeriod',
  StartInterval: 'StartInterval',
} as const

/** What a body changes of the image's check: its test, or only its times. @throws engine.create_invalid */
export function healthOf(
  body: HealthBody | undefined,
  ofImage: ImageConfig['health'],
): HealthCheck | 'none' | undefined {
  if (!body) return undefined
  assertTimes(body)
  const test = testOf(body.Test ?? [])
  if (test === 'none') return 'none'
  const image = ofImage === 'none' ? undefined : ofImage
  const chosen = test ?? image?.test
  if (!chosen) return undefined
  return compact<HealthCheck>({
    test: chosen,
    intervalMs: milliseconds(body.Interval) ?? image?.intervalMs,
    timeoutMs: milliseconds(body.Timeout) ?? image?.timeoutMs,
    retries: body.Retries || image?.retries,
    startPeriodMs: milliseconds(body.StartPeriod) ?? image?.startPeriodMs,
    startIntervalMs: milliseconds(body.StartInterval) ?? image?.startIntervalMs ?? shortStart(body),
    onUnhealthy: undefined,
  })
}

/** Who sets no interval for the start period and a short one for later is not kept waiting at the start. */
const shortStart = ({ StartPeriod, Interval }: HealthBody): number | undefined =>
  StartPeriod && Interval && Interval < START_INTERVAL_NANOS ? milliseconds(Interval) : undefined

const milliseconds = (nanos: number | undefined): number | undefined =>
  nanos ? Math.round(nanos / NANOS_PER_MS) : undefined

function testOf(test: readonly string[]): HealthCheck['test'] | 'none' | undefined {
  const [kind, ...rest] = test
  switch (kind) {
    case undefined:
      return undefined
    case 'NONE':
      return 'none'
    case 'CMD':
      return { exec: rest }
    case 'CMD-SHELL':
      return { shell: rest.join(' ') }
    default:
      throw refuse(`Unknown type ${JSON.stringify(kind.slice(0, 50))} in HEALTHCHECK (try CMD)`)
  }
}

function assertTimes(body: HealthBody): void {
  for (const name of Object.keys(WORDS) as (keyof typeof WORDS)[]) {
    const nanos = body[name] ?? 0
    if (nanos !== 0 && nanos < NANOS_PER_MS)
      throw refuse(`${WORDS[name]} in Healthcheck cannot be less than 1ms`)
  }
  if ((body.Retries ?? 0) < 0) throw refuse('Retries in Healthcheck cannot be negative')
}
