import { type Clock, Fault } from '@berth/core'

const FIRST_MS = 1_000

/** Pauses between attempts, doubled from a second on, as long as the whole stays within the time (docker: 30 s). */
export function* retryDelays(withinMs: number): Generator<number> {
  for (let delay = FIRST_MS, at = 0; at + delay < withinMs; delay *= 2) {
    at += delay
    yield delay
  }
}

/** Tries again while the plugin is not reachable: it may be restarting. @throws what the last attempt threw */
export async function whileUnreachable<T>(
  work: () => Promise<T>,
  {
    clock,
    withinMs,
    signal,
  }: { readonly clock: Clock; readonly withinMs: number; readonly signal?: AbortSignal | undefined },
): Promise<T> {
  for (const delay of retryDelays(withinMs)) {
    try {
      return await work()
    } catch (error) {
      if (!Fault.is(error, 'volume.plugin_unreachable')) throw error
    }
    await clock.sleep(delay, signal)
  }
  return work()
}
