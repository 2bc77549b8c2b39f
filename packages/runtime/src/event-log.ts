import type { Clock } from '@berth/core'
import type { EventOptions, RuntimeEvent } from './api.js'
import { EventBus } from './event-bus.js'

export type NewEvent = Omit<RuntimeEvent, 'atNanos'>

const HISTORY_MAX = 1024
const NANOS_PER_MS = 1_000_000n
/** Timers hold no more than 24 days. */
const SLEEP_MAX_MS = 24 * 60 * 60 * 1000

/** What happened on this host: told to who listens, and the last of it kept for who asks later. */
export class EventLog {
  private readonly bus = new EventBus<RuntimeEvent>()
  private readonly history: RuntimeEvent[] = []
  private last = 0n

  constructor(private readonly clock: Clock) {}

  /** Stamps the event later than every one before. */
  emit(event: NewEvent): void {
    const now = this.nowNanos()
    this.last = now > this.last ? now : this.last + 1n
    const stamped = { ...event, atNanos: this.last }
    this.history.push(stamped)
    if (this.history.length > HISTORY_MAX) this.history.shift()
    this.bus.emit(stamped)
  }

  /**
   * Past events from `sinceNanos` on, then live ones, none between left out, until `untilNanos` has come or the signal aborts. Listens from
   * this call on, not from the first read. @throws events.reader_too_slow
   */
  read({ signal, sinceNanos, untilNanos, onTooSlow }: EventOptions): AsyncGenerator<RuntimeEvent> {
    const isIn = ({ atNanos }: RuntimeEvent) =>
      (sinceNanos === undefined || atNanos >= sinceNanos) &&
      (untilNanos === undefined || atNanos <= untilNanos)
    const over = new AbortController()
    const live = this.bus.subscribe(AbortSignal.any([signal, over.signal]), onTooSlow)
    const past = sinceNanos === undefined ? [] : this.history.filter(isIn)
    if (untilNanos !== undefined) void this.endAt(untilNanos, over, signal)
    return joined(past, live, isIn, () => over.abort())
  }

  /** An event that is stamped a hair before the end may be told after it, so the end waits for the clock to be past it. */
  private async endAt(untilNanos: bigint, over: AbortController, signal: AbortSignal): Promise<void> {
    const cut = AbortSignal.any([signal, over.signal])
    for (;;) {
      const left = Number((untilNanos - this.nowNanos()) / NANOS_PER_MS)
      if (untilNanos < this.nowNanos()) return over.abort()
      try {
        await this.clock.sleep(Math.min(SLEEP_MAX_MS, left + 1), cut)
      } catch {
        return
      }
    }
  }

  private nowNanos(): bigint {
    return BigInt(this.clock.nowMs()) * NANOS_PER_MS
  }
}

async function* joined(
  past: readonly RuntimeEvent[],
  live: AsyncGenerator<RuntimeEvent>,
  isIn: (event: RuntimeEvent) => boolean,
  leave: () => void,
): AsyncGenerator<RuntimeEvent> {
  try {
    yield* past
    for await (const event of live) if (isIn(event)) yield event
  } finally {
    leave()
  }
}
