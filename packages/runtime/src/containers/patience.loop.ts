import { fault } from '@berth/core'

const cancelled = () => fault.cancelled('cancelled', 'the operation was cancelled by its caller')

/** What was given up before its turn came is not begun; what has begun is ended, since half of it helps nobody. @throws cancelled */
export function assertWanted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled()
}

/** Timers hold no more than this. */
const TIMER_MAX_MS = 2 ** 31 - 1

/** Whether the promise settled in time; a negative time is without end. @throws cancelled when the caller gives up meanwhile */
export async function settledWithin(
  promise: Promise<unknown>,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const done = new AbortController()
  const late = new Promise<boolean>((resolve, reject) => {
    if (timeoutMs >= 0 && timeoutMs <= TIMER_MAX_MS) {
      const timer = setTimeout(() => resolve(false), timeoutMs)
      done.signal.addEventListener('abort', () => clearTimeout(timer))
    }
    signal?.addEventListener('abort', () => reject(cancelled()), { signal: done.signal })
  })
  try {
    return await Promise.race([promise.then(() => true), late])
  } finally {
    done.abort()
  }
}
