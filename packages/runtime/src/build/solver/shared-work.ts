/** One run per key at a time: who asks while it is under way gets the same result. */
export class SharedWork<Result> {
  private readonly running = new Map<string, Promise<Result>>()

  /** A run that failed for its owner, who may have given up, is no answer for the others: the next one does it again. */
  async share(key: string, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    for (;;) {
      const other = this.running.get(key)
      if (!other) break
      const found = await raced(other, signal)
      if (found) return found.result
    }
    const own = work().finally(() => this.running.delete(key))
    this.running.set(key, own)
    return own
  }
}

/** Undefined when the other's run failed. @throws the signal's reason */
function raced<Result>(
  work: Promise<Result>,
  signal: AbortSignal,
): Promise<{ readonly result: Result } | undefined> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly result: Result } | undefined>()
  const give = () => reject(signal.reason as Error)
  signal.addEventListener('abort', give, { once: true })
  work.then(
    (result) => resolve({ result }),
    () => resolve(undefined),
  )
  return promise.finally(() => signal.removeEventListener('abort', give))
}
