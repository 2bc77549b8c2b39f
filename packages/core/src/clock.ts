/** Time as a dependency. `nowMs` is wall time (Unix ms); `monotonicMs` never jumps and is what timers compare. */
export interface Clock {
  nowMs(): number
  monotonicMs(): number
  /** Resolves after `delayMs`; rejects with the signal's reason when aborted. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (delayMs, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }, delayMs)
      signal?.addEventListener('abort', onAbort, { once: true })
    }),
}

interface Sleeper {
  readonly dueMs: number
  readonly wake: () => void
}

/** A clock a test moves by hand; `advance` wakes sleepers in order of their due time. */
export class TestClock implements Clock {
  private sleepers: Sleeper[] = []
  constructor(private currentMs = 1_700_000_000_000) {}

  nowMs(): number {
    return this.currentMs
  }

  monotonicMs(): number {
    return this.currentMs
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const sleeper = { dueMs: this.currentMs + delayMs, wake: resolve }
      this.sleepers.push(sleeper)
      signal?.addEventListener(
        'abort',
        () => {
          this.sleepers = this.sleepers.filter((s) => s !== sleeper)
          reject(signal.reason)
        },
        { once: true },
      )
    })
  }

  /** Moves time forward by `byMs` and lets every promise that became due settle. */
  async advance(byMs: number): Promise<void> {
    const target = this.currentMs + byMs
    for (;;) {
      const next = this.sleepers.filter((s) => s.dueMs <= target).sort((a, b) => a.dueMs - b.dueMs)[0]
      if (!next) break
      this.sleepers = this.sleepers.filter((s) => s !== next)
      this.currentMs = next.dueMs
      next.wake()
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.currentMs = target
    await new Promise((resolve) => setImmediate(resolve))
  }
}
