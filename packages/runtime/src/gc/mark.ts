/** Something a collection may keep or take: `image:ID`, `blob:DIGEST`, `layer:CHAIN`. */
export type Key = string
export const imageKey = (id: string): Key => `image:${id}`
export const blobKey = (digest: string): Key => `blob:${digest}`
export const layerKey = (chainId: string): Key => `layer:${chainId}`
/** What is behind the kind. */
export const nameOf = (key: Key): string => key.slice(key.indexOf(':') + 1)

export type Edges = (key: Key) => Iterable<Key>

/**
 * Tricolour marking that goes on while the world does: white was not reached, grey was reached and its edges were not followed, black is done.
 * Whoever begins to count on a key shades it (the write barrier); what is made after the beginning is in no set, and so is never taken.
 */
export class Marking {
  private readonly white: Set<Key>
  private readonly grey: Key[] = []
  private readonly black = new Set<Key>()

  constructor(all: Iterable<Key>) {
    this.white = new Set(all)
  }

  /** Keeps the key and all that it leads to, unless it is swept already. */
  shade(key: Key): void {
    if (this.black.has(key)) return
    this.black.add(key)
    this.white.delete(key)
    this.grey.push(key)
  }

  /** Follows the edges of at most `budget` keys. True when there are no grey ones. */
  step(edges: Edges, budget: number): boolean {
    for (let count = 0; count < budget; count++) {
      const key = this.grey.pop()
      if (key === undefined) return true
      for (const next of edges(key)) this.shade(next)
    }
    return this.grey.length === 0
  }

  /** One key that may go now, given once. Undefined while there are grey ones, and when all is swept. */
  takeWhite(): Key | undefined {
    if (this.grey.length > 0) return undefined
    const [key] = this.white
    if (key !== undefined) this.white.delete(key)
    return key
  }

  get isDone(): boolean {
    return this.grey.length === 0 && this.white.size === 0
  }
}
