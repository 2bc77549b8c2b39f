import type { ContainerSpec, HealthCheck, HealthState, ImageConfig } from '../api.js'

/** A check with every default filled in. */
export interface HealthConfig {
  readonly argv: readonly string[]
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly retries: number
  readonly startPeriodMs: number
  readonly startIntervalMs: number
  readonly onUnhealthy: 'none' | 'kill' | 'restart' | 'stop'
}

export interface ProbeResult {
  readonly startedAtMs: number
  readonly finishedAtMs: number
  readonly exitCode: number
  readonly output: string
}

const LOG_MAX = 5
export const OUTPUT_MAX_BYTES = 4_096
const SECOND = 1_000

/** The spec's check, else the image's; undefined: none. */
export function healthConfig(
  spec: ContainerSpec,
  image: Pick<ImageConfig, 'health' | 'shell'>,
): HealthConfig | undefined {
  const check: HealthCheck | 'none' | undefined = spec.health ?? image.health
  if (check === undefined || check === 'none') return undefined
  const argv =
    'exec' in check.test
      ? check.test.exec
      : [...(image.shell.length > 0 ? image.shell : ['/bin/sh', '-c']), check.test.shell]
  if (argv.length === 0) return undefined
  return {
    argv,
    intervalMs: check.intervalMs || 30 * SECOND,
    timeoutMs: check.timeoutMs || 30 * SECOND,
    retries: check.retries || 3,
    startPeriodMs: check.startPeriodMs ?? 0,
    startIntervalMs: check.startIntervalMs || 5 * SECOND,
    onUnhealthy: check.onUnhealthy ?? 'none',
  }
}

/** Of a run that begins now; what former runs said stays to be read. */
export const freshHealth = (before: HealthState | undefined): HealthState => ({
  status: 'starting',
  failingStreak: 0,
  log: before?.log ?? [],
})

/** The state after one more probe. While it has never been healthy, failures within the start period do not count. */
export function nextHealth(
  state: HealthState,
  result: ProbeResult,
  config: Pick<HealthConfig, 'retries' | 'startPeriodMs'>,
  startedAtMs: number,
): HealthState {
  const entry = {
    startedAt: new Date(result.startedAtMs).toISOString(),
    finishedAt: new Date(result.finishedAtMs).toISOString(),
    exitCode: result.exitCode,
    output: cut(result.output),
  }
  const log = [...state.log, entry].slice(-LOG_MAX)
  if (result.exitCode === 0) return { status: 'healthy', failingStreak: 0, log }
  const isExcused = state.status === 'starting' && result.startedAtMs - startedAtMs < config.startPeriodMs
  if (isExcused) return { ...state, log }
  const failingStreak = state.failingStreak + 1
  return { status: failingStreak >= config.retries ? 'unhealthy' : state.status, failingStreak, log }
}

/** The pause before the next probe. */
export const probePauseMs = (
  { status }: HealthState,
  config: Pick<HealthConfig, 'intervalMs' | 'startPeriodMs' | 'startIntervalMs'>,
  ranMs: number,
): number =>
  status === 'starting' && ranMs < config.startPeriodMs ? config.startIntervalMs : config.intervalMs

/** At most 4,096 bytes, never half a character. */
function cut(text: string): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= OUTPUT_MAX_BYTES) return text
  return new TextDecoder('utf-8').decode(bytes.subarray(0, OUTPUT_MAX_BYTES - 3), { stream: true })
}
