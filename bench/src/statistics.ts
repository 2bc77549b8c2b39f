export interface Summary {
  readonly median: number
  readonly p90: number
  readonly min: number
}

/** Nearest-rank percentile: always a value that was measured. `share` in (0, 1]. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

export const summarize = (values: readonly number[]): Summary => ({
  median: percentile(values, 0.5),
  p90: percentile(values, 0.9),
  min: percentile(values, Number.MIN_VALUE),
})
