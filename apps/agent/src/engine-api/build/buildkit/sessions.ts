import { type Clock, fault } from '@berth/core'
import type { BuildSession } from './build-session.grpc.js'

/** A client opens its session and asks for the build at the same time. */
const WAIT_MS = 10_000

/** The sessions that clients hold open now, by the id they gave themselves. */
export class Sessions {
  private readonly open = new Map<string, BuildSession>()
  private readonly waiting = new Map<string, ((session: BuildSession) => void)[]>()

  constructor(private readonly clock: Clock) {}

  has(id: string): boolean {
    return this.open.has(id)
  }

  add(id: string, session: BuildSession): void {
    this.open.set(id, session)
    for (const tell of this.waiting.get(id) ?? []) tell(session)
    this.waiting.delete(id)
  }

  remove(id: string): void {
    this.open.delete(id)
  }

  /** @throws build.session_missing, the signal's reason */
  async get(id: string, signal: AbortSignal): Promise<BuildSession> {
    const known = this.open.get(id)
    if (known) return known
    const over = new AbortController()
    const late = this.clock.sleep(WAIT_MS, AbortSignal.any([signal, over.signal])).then(() => {
      throw fault.notFound('build.session_missing', `no session ${JSON.stringify(id.slice(0, 100))} is open`)
    })
    late.catch(() => {})
    const { promise, resolve } = Promise.withResolvers<BuildSession>()
    this.waiting.set(id, [...(this.waiting.get(id) ?? []), resolve])
    try {
      return await Promise.race([promise, late])
    } finally {
      over.abort()
      const others = (this.waiting.get(id) ?? []).filter((tell) => tell !== resolve)
      if (others.length > 0) this.waiting.set(id, others)
      else this.waiting.delete(id)
    }
  }
}
