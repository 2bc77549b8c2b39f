/** One operation at a time per key, in the order in which they were asked for. */
export class Turns<Key> {
  private readonly last = new Map<Key, Promise<unknown>>()

  take<T>(key: Key, work: () => Promise<T>): Promise<T> {
    const turn = (this.last.get(key) ?? Promise.resolve()).then(work)
    const settled = turn.catch(() => {})
    this.last.set(key, settled)
    settled.then(() => {
      if (this.last.get(key) === settled) this.last.delete(key)
    })
    return turn
  }

  /** Resolves when all that has been asked for is done, and what that asked for too. */
  async idle(): Promise<void> {
    while (this.last.size > 0) await Promise.allSettled(this.last.values())
  }
}
