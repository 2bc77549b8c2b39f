import type { EventOptions, RuntimeEvent } from './api.js'
import { EventBus } from './event-bus.js'

export type NewEvent = Omit<RuntimeEvent, 'atNanos'>

const HISTORY_MAX = 1024

/** What happened on this host: told to who listens, and the last of it kept for who asks later. */
export class EventLog {
  private readonly bus = new EventBus<RuntimeEvent>()
  private readonly history: RuntimeEvent[] = []
  private last = 0n

  constructor(private readonly nowNanos: () => bigint) {}

  /** Stamps the event later than every one before. */
  emit(event: NewEvent): void {
    const now = this.nowNanos()
    this.last = now > this.last ? now : this.last + 1n
    const stamped = { ...event, atNanos: this.last }
    this.history.push(stamped)
    if (this.history.length > HISTORY_MAX) this.history.shift()
    this.bus.emit(stamped)
  }

  /** Past events from `sinceNanos` on, then live ones until the signal aborts. @throws events.reader_too_slow */
  read({ signal, sinceNanos }: EventOptions): AsyncGenerator<RuntimeEvent> {
    const live = this.bus.subscribe(signal)
    const past = sinceNanos === undefined ? [] : this.history.filter(({ atNanos }) => atNanos >= sinceNanos)
    return joined(past, live)
  }
}

async function* joined(
  past: readonly RuntimeEvent[],
  live: AsyncGenerator<RuntimeEvent>,
): AsyncGenerator<RuntimeEvent> {
  yield* past
  yield* live
}
