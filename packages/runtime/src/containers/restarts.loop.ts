import type { Clock, ContainerId } from '@berth/core'

export interface RestartsDeps {
  readonly clock: Clock
  /** Starts it, if that is still wanted. */
  restart(id: ContainerId): Promise<void>
}

/** After a reboot hundreds may be due together: so many are started at once. */
const AT_ONCE = 4

/** Restarts that wait for their time. */
export class Restarts {
  private readonly waiting = new Map<ContainerId, AbortController>()
  private readonly queue: (() => void)[] = []
  private readonly active = new Set<ContainerId>()
  private isClosed = false

  constructor(private readonly deps: RestartsDeps) {}

  /** Takes the place of the one before. */
  schedule(id: ContainerId, delayMs: number): void {
    this.cancel(id)
    if (this.isClosed) return
    const wait = new AbortController()
    this.waiting.set(id, wait)
    void this.await(id, delayMs, wait)
  }

  /** Whether one was waiting. */
  cancel(id: ContainerId): boolean {
    const wait = this.waiting.get(id)
    this.waiting.delete(id)
    wait?.abort(new Error('the restart was cancelled'))
    return wait !== undefined
  }

  /** Whether one waits or is being made. */
  has(id: ContainerId): boolean {
    return this.waiting.has(id) || this.active.has(id)
  }

  close(): void {
    this.isClosed = true
    for (const id of [...this.waiting.keys()]) this.cancel(id)
  }

  private async await(id: ContainerId, delayMs: number, wait: AbortController): Promise<void> {
    try {
      await this.deps.clock.sleep(delayMs, wait.signal)
    } catch {
      return
    }
    if (this.active.size >= AT_ONCE) await new Promise<void>((resolve) => this.queue.push(resolve))
    if (wait.signal.aborted) return this.queue.shift()?.()
    this.waiting.delete(id)
    this.active.add(id)
    try {
      await this.deps.restart(id)
    } finally {
      this.active.delete(id)
      this.queue.shift()?.()
    }
  }
}
