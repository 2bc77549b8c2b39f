import { type Clock, fault } from '@berth/core'
import type { BuildContext } from '@berth/runtime'

const WAIT_MS = 30_000

interface Meeting {
  readonly context: PromiseWithResolvers<BuildContext>
  /** Whether the build has come. */
  readonly taken: PromiseWithResolvers<void>
}

/** Contexts that come in a request of their own, and the builds that they are for. Whichever is first waits for the other. */
export class Uploads {
  private readonly meetings = new Map<string, Meeting>()

  constructor(private readonly clock: Clock) {}

  /** Returns when the build has it. @throws what opening it threw, build.session_missing */
  async offer(buildId: string, open: () => Promise<BuildContext>, signal: AbortSignal): Promise<void> {
    const meeting = this.meet(buildId)
    const context = await open().catch((error: unknown) => {
      meeting.context.reject(error)
      throw error
    })
    try {
      meeting.context.resolve(context)
      await this.within(meeting.taken.promise, signal, buildId)
    } catch (error) {
      await context.release()
      throw error
    } finally {
      this.meetings.delete(buildId)
    }
  }

  /** @throws build.session_missing, what opening it threw, the signal's reason */
  async take(buildId: string, signal: AbortSignal): Promise<BuildContext> {
    const meeting = this.meet(buildId)
    meeting.taken.resolve()
    return this.within(meeting.context.promise, signal, buildId)
  }

  private meet(buildId: string): Meeting {
    const known = this.meetings.get(buildId)
    if (known) return known
    const made = {
      context: Promise.withResolvers<BuildContext>(),
      taken: Promise.withResolvers<void>(),
    }
    made.context.promise.catch(() => {})
    this.meetings.set(buildId, made)
    return made
  }

  private async within<T>(other: Promise<T>, signal: AbortSignal, buildId: string): Promise<T> {
    const over = new AbortController()
    const late = this.clock.sleep(WAIT_MS, AbortSignal.any([signal, over.signal])).then(() => {
      this.meetings.delete(buildId)
      throw fault.notFound(
        'build.session_missing',
        `the other half of build ${buildId.slice(0, 100)} did not come`,
      )
    })
    late.catch(() => {})
    try {
      return await Promise.race([other, late])
    } finally {
      over.abort()
    }
  }
}
