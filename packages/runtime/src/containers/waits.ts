import type { ContainerExit } from '../api.js'

type What = 'exit' | 'removal'
type Wake = (exit: ContainerExit) => void

/** Who waits for a container's next exit or for its removal. Told synchronously, so that no exit is missed. */
export class Waits<Key> {
  private readonly waiting: Readonly<Record<What, Map<Key, Set<Wake>>>> = {
    exit: new Map(),
    removal: new Map(),
  }

  /** From this call on. Rejects with the signal's reason when it aborts. */
  next(key: Key, what: What, signal?: AbortSignal): Promise<ContainerExit> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    return new Promise((resolve, reject) => {
      const all = this.waiting[what]
      const onAbort = () => {
        all.get(key)?.delete(wake)
        if (all.get(key)?.size === 0) all.delete(key)
        reject(signal?.reason)
      }
      const wake: Wake = (exit) => {
        signal?.removeEventListener('abort', onAbort)
        resolve(exit)
      }
      all.set(key, (all.get(key) ?? new Set()).add(wake))
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  exited(key: Key, exit: ContainerExit): void {
    this.wake(key, 'exit', exit)
  }

  /** Nothing comes after it, so whoever waits for an exit is told too. */
  removed(key: Key, exit: ContainerExit): void {
    this.wake(key, 'exit', exit)
    this.wake(key, 'removal', exit)
  }

  private wake(key: Key, what: What, exit: ContainerExit): void {
    const woken = this.waiting[what].get(key) ?? []
    this.waiting[what].delete(key)
    for (const wake of woken) wake(exit)
  }
}
