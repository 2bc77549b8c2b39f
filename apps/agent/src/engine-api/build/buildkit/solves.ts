import { fault } from '@berth/core'
import type { buildControl, buildStatus } from '@berth/proto'
import type { ImageRecord } from '@berth/runtime'

type Status = buildStatus.StatusResponse

/** Ended ones whose status may still be asked for. */
const KEPT_MAX = 64
const CHANGES_MAX = 100_000

/** One build of a client of buildx, which has its parts in several calls: what to build, what to do with it, how it goes. */
export class Solve {
  readonly stop = new AbortController()
  /** How the client, in the place of a frontend, is done. */
  readonly returned = Promise.withResolvers<void>()
  image: ImageRecord | undefined
  private readonly changes: Status[] = []
  private readonly listeners = new Set<() => void>()
  private isOver = false

  constructor(readonly request: buildControl.SolveRequest) {
    this.returned.promise.catch(() => {})
  }

  tell(change: Status): void {
    if (this.changes.length < CHANGES_MAX) this.changes.push(change)
    this.ring()
  }

  get hasEnded(): boolean {
    return this.isOver
  }

  end(): void {
    this.isOver = true
    this.ring()
  }

  private ring(): void {
    for (const wake of this.listeners) wake()
  }

  /** All that was told and will be, until the build is over or the signal aborts. */
  async *status(signal: AbortSignal): AsyncGenerator<Status> {
    for (let at = 0; !signal.aborted; ) {
      const next = this.changes[at]
      if (next) {
        at += 1
        yield next
      } else if (this.isOver) return
      else await this.changed(signal)
    }
  }

  private changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.listeners.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.listeners.add(wake)
      signal.addEventListener('abort', wake, { once: true })
    })
  }
}

/** Builds by the name that their client gave; calls for one may come before it. */
export class Solves {
  private readonly byRef = new Map<string, PromiseWithResolvers<Solve>>()
  private readonly begun = new Map<string, Solve>()

  /** @throws build.session_invalid: the name is taken */
  begin(request: buildControl.SolveRequest): Solve {
    const { ref } = request
    if (ref === '' || this.begun.has(ref))
      throw fault.failedPrecondition(
        'build.session_invalid',
        `a build ${JSON.stringify(ref.slice(0, 100))} is there already`,
      )
    this.forgetOld()
    const solve = new Solve(request)
    this.begun.set(ref, solve)
    this.place(ref).resolve(solve)
    return solve
  }

  /** Waits for it to begin. @throws the signal's reason */
  async get(ref: string, signal: AbortSignal): Promise<Solve> {
    signal.throwIfAborted()
    const given = Promise.withResolvers<never>()
    const give = () => given.reject(signal.reason)
    given.promise.catch(() => {})
    signal.addEventListener('abort', give, { once: true })
    try {
      return await Promise.race([this.place(ref).promise, given.promise])
    } finally {
      signal.removeEventListener('abort', give)
      if (signal.aborted && !this.begun.has(ref)) this.byRef.delete(ref)
    }
  }

  private place(ref: string): PromiseWithResolvers<Solve> {
    const known = this.byRef.get(ref)
    if (known) return known
    const made = Promise.withResolvers<Solve>()
    this.byRef.set(ref, made)
    return made
  }

  private forgetOld(): void {
    const ended = [...this.begun].filter(([, solve]) => solve.hasEnded)
    for (const [ref] of ended.slice(0, Math.max(0, ended.length - KEPT_MAX))) {
      this.begun.delete(ref)
      this.byRef.delete(ref)
    }
  }
}
