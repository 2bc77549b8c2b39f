/** Sliding window counters by key; pure but for what it remembers. Time is an argument. */
export class RateLimit {
  private readonly hits = new Map<string, number[]>()

  constructor(
    private readonly max: number,
    private readonly windowMs: number,
  ) {}

  /** Milliseconds until the next try is allowed; 0 when it is allowed now (and counted). */
  take(key: string, nowMs: number): number {
    const recent = (this.hits.get(key) ?? []).filter((at) => at > nowMs - this.windowMs)
    const [oldest] = recent
    if (recent.length >= this.max && oldest !== undefined) {
      this.hits.set(key, recent)
      return oldest + this.windowMs - nowMs
    }
    this.hits.set(key, [...recent, nowMs])
    if (this.hits.size > 10_000) this.forget(nowMs)
    return 0
  }

  reset(key: string): void {
    this.hits.delete(key)
  }

  private forget(nowMs: number): void {
    for (const [key, times] of this.hits)
      if (times.every((at) => at <= nowMs - this.windowMs)) this.hits.delete(key)
  }
}
