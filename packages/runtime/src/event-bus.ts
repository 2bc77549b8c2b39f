import { fault } from '@berth/core'

const BUFFER_MAX = 1024

/** Hands events to any number of readers, each with a bounded buffer of its own. */
export class EventBus<Event> {
  private readonly readers = new Set<(event: Event) => void>()

  emit(event: Event): void {
    for (const reader of this.readers) reader(event)
  }

  /** From this call on until `signal` aborts. @throws events.reader_too_slow */
  subscribe(signal: AbortSignal, onTooSlow?: () => void): AsyncGenerator<Event> {
    const reader = new Reader<Event>(onTooSlow)
    const push = (event: Event) => reader.push(event)
    this.readers.add(push)
    const leave = () => {
      this.readers.delete(push)
      signal.removeEventListener('abort', onAbort)
    }
    // Here too, since one that is never read does not come to its end.
    const onAbort = () => {
      leave()
      reader.ring()
    }
    signal.addEventListener('abort', onAbort)
    return reader.drain(signal, leave)
  }
}

class Reader<Event> {
  private readonly buffer: Event[] = []
  private wake: (() => void) | undefined
  private overflow = false

  constructor(private readonly onTooSlow: (() => void) | undefined) {}

  push(event: Event): void {
    if (this.overflow) return
    if (this.buffer.length < BUFFER_MAX) this.buffer.push(event)
    else {
      this.overflow = true
      this.onTooSlow?.()
    }
    this.ring()
  }

  ring(): void {
    this.wake?.()
  }

  async *drain(signal: AbortSignal, leave: () => void): AsyncGenerator<Event> {
    try {
      for (;;) {
        for (let event = this.buffer.shift(); event !== undefined; event = this.buffer.shift()) yield event
        if (this.overflow)
          throw fault.resourceExhausted(
            'events.reader_too_slow',
            `the reader fell more than ${BUFFER_MAX} events behind: subscribe again and list the present state`,
          )
        if (signal.aborted) return
        await new Promise<void>((resolve) => {
          this.wake = resolve
        })
      }
    } finally {
      leave()
    }
  }
}
