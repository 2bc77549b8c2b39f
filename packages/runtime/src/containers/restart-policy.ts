import type { RestartPolicy } from '../api.js'
import type { ContainerRow } from './container-row.js'

/** How a run ended, as far as a restart policy is concerned. */
export interface RunEnd {
  readonly policy: RestartPolicy
  readonly exitCode: number
  readonly stoppedByHand: boolean
  /** Restarts by the policy since somebody started it. */
  readonly restartCount: number
  readonly ranMs: number
  /** The pause before the run that ended; undefined when somebody started it. */
  readonly lastDelayMs: number | undefined
}

const DELAY_MIN_MS = 100
const DELAY_MAX_MS = 60_000
/** Who ran this long begins with the shortest pause again. */
const STEADY_MS = 10_000

/** After which pause it is started again; undefined: it stays as it is. docker's rule. */
export function planRestart(end: RunEnd): { readonly delayMs: number } | undefined {
  if (!wantsRestart(end)) return undefined
  if (end.lastDelayMs === undefined || end.ranMs >= STEADY_MS) return { delayMs: DELAY_MIN_MS }
  return { delayMs: Math.min(DELAY_MAX_MS, end.lastDelayMs * 2) }
}

function wantsRestart({ policy, exitCode, stoppedByHand, restartCount }: RunEnd): boolean {
  if (stoppedByHand) return false
  switch (policy.name) {
    case 'no':
      return false
    case 'always':
    case 'unless-stopped':
      return true
    case 'on-failure':
      return exitCode !== 0 && (policy.retriesMax === 0 || restartCount < policy.retriesMax)
  }
}

/**
 * Whether an exited container is started when the runtime is opened: `always` even after it was stopped by hand. One that was never started is
 * left alone.
 */
export function startsAtOpen(policy: RestartPolicy, hasRun: boolean, stoppedByHand: boolean): boolean {
  if (!hasRun) return false
  return policy.name === 'always' || (policy.name === 'unless-stopped' && !stoppedByHand)
}

export const policyOf = ({ spec }: Pick<ContainerRow, 'spec'>): RestartPolicy =>
  spec.restart ?? { name: 'no' }
export const hasPolicy = (row: Pick<ContainerRow, 'spec'>): boolean => policyOf(row).name !== 'no'

/** The end of a container's run, for `planRestart`. */
export const runEnd = (row: ContainerRow, exitCode: number, ranMs: number): RunEnd => ({
  policy: policyOf(row),
  ...{ exitCode, ranMs },
  stoppedByHand: row.stoppedByHand ?? false,
  restartCount: row.restartCount,
  lastDelayMs: row.restartDelayMs,
})
