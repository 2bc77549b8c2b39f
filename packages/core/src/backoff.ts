export interface BackoffPolicy {
  readonly initialMs: number
  readonly maxMs: number
  readonly factor?: number
}

/**
 * Delay before retry number `attempt` (0 = first retry): exponential, capped, with full jitter in the upper half
 * so that many clients of one dead server do not return together. `random` is in [0, 1).
 */
export function backoffMs(policy: BackoffPolicy, attempt: number, random: number): number {
  const ceiling = Math.min(policy.maxMs, policy.initialMs * (policy.factor ?? 2) ** attempt)
  return Math.round(ceiling / 2 + (ceiling / 2) * random)
}
