import type { BuildContext } from '@berth/runtime'
import type { Listing } from './receive-archive.js'

export interface KeptContext {
  readonly context: BuildContext
  /** What is in it. */
  readonly listing: Listing
  /** Of its files, as far as their client told. */
  readonly sizeBytes: number
}

const KEPT_MAX = 8
const BYTES_MAX = 2 * 1024 ** 3

/**
 * Contexts of builds that have ended, by what their clients call them: the next build from the same place need not send what has not changed.
 * One is for one build at a time. The least recently used go first.
 */
export class KeptContexts {
  private readonly byKey = new Map<string, KeptContext>()

  /** It is the caller's now. */
  take(key: string): KeptContext | undefined {
    const kept = this.byKey.get(key)
    this.byKey.delete(key)
    return kept
  }

  async put(key: string, kept: KeptContext): Promise<void> {
    const before = this.take(key)
    this.byKey.set(key, kept)
    const gone = [...(before ? [before] : []), ...this.beyond()]
    await Promise.all(gone.map(({ context }) => context.release()))
  }

  private beyond(): readonly KeptContext[] {
    const gone: KeptContext[] = []
    let bytes = [...this.byKey.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    for (const [key, kept] of this.byKey) {
      if (this.byKey.size <= KEPT_MAX && bytes <= BYTES_MAX) break
      this.byKey.delete(key)
      bytes -= kept.sizeBytes
      gone.push(kept)
    }
    return gone
  }

  /** Releases all that is kept. */
  async clear(): Promise<void> {
    const gone = [...this.byKey.values()]
    this.byKey.clear()
    await Promise.all(gone.map(({ context }) => context.release()))
  }
}
