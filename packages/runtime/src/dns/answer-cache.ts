/** A little memory for what others answered, so that a crowd that asks the same at once is one question; nobody's change is hidden for long. */
const KEPT_MS_MAX = 5_000
const KEPT_MAX = 1_000

interface Kept {
  readonly answer: Buffer
  readonly untilMs: number
}

export class AnswerCache {
  private readonly kept = new Map<string, Kept>()

  get size(): number {
    return this.kept.size
  }

  find(key: string, nowMs: number): Buffer | undefined {
    const found = this.kept.get(key)
    if (found && found.untilMs > nowMs) return found.answer
    this.kept.delete(key)
    return undefined
  }

  /** For as long as its records live, and five seconds at most. */
  keep(key: string, answer: Buffer, ttlSeconds: number, nowMs: number): void {
    if (ttlSeconds <= 0) return
    this.kept.delete(key)
    this.kept.set(key, { answer, untilMs: nowMs + Math.min(ttlSeconds * 1_000, KEPT_MS_MAX) })
    const [oldest] = this.kept.keys()
    if (this.kept.size > KEPT_MAX && oldest !== undefined) this.kept.delete(oldest)
  }
}
