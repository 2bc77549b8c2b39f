import { setImmediate as nextRound } from 'node:timers/promises'
import type { Fault } from '@berth/core'
import type { OutputChunk } from '../api.js'
import type { Backlog } from './backlog.store.js'

/** So many chunks may be taken in one round of the event loop. */
const BURST = 64

export interface ListenerHooks {
  onTake(): void
  onClose(): void
}

/** The output side of one who attached: what was pushed comes out in order, however slowly it is taken. */
export class Listener {
  private isOver = false
  private isClosed = false
  private failure: Fault | undefined
  private wake: (() => void) | undefined
  takenCount = 0
  /** Called once when the reader has left. */
  onLeave: (() => void) | undefined

  constructor(
    private readonly backlog: Backlog,
    private readonly wants: (chunk: OutputChunk) => boolean,
    private readonly hooks: ListenerHooks,
  ) {}

  get isFull(): boolean {
    return this.backlog.isFull
  }

  push(chunk: OutputChunk): void {
    if (this.isOver || !this.wants(chunk)) return
    this.backlog.push(chunk)
    this.wake?.()
  }

  /** Nothing more comes; what waits is still given. Idempotent. */
  end(): void {
    this.isOver = true
    this.wake?.()
  }

  /** What waits is dropped and the reader is told why. */
  fail(failure: Fault): void {
    this.failure ??= failure
    this.close()
  }

  /** The reader leaves. Idempotent. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.backlog.close()
    this.end()
    this.hooks.onClose()
    this.onLeave?.()
  }

  /** To be read once. */
  async *read(): AsyncGenerator<OutputChunk> {
    try {
      for (;;) {
        const chunk = this.backlog.take()
        if (chunk) {
          this.takenCount += 1
          this.hooks.onTake()
          yield chunk
          if (this.takenCount % BURST === 0) await nextRound()
        } else if (this.isOver) break
        else await new Promise<void>((resolve) => (this.wake = resolve))
      }
    } finally {
      this.close()
    }
    if (this.failure) throw this.failure
  }
}
