import { randomInt } from 'node:crypto'
import type { Clock } from '@berth/core'
import { AnswerCache } from './answer-cache.js'
import { askByTcp, askByUdp } from './ask.client.js'
import { keepSeconds, rcodeOf, SERVER_FAILED, withId } from './message.js'

/** Of one server, before the next is asked. */
const SERVER_MS = 2_000
/** A server that did not answer comes after the others so long. */
const DISTRUST_MS = 30_000
const REFUSED = 5
const IN_FLIGHT_MAX = 1_024
const IN_FLIGHT_PER_ASKER_MAX = 128

export interface Forwarding {
  readonly asker: string
  readonly servers: readonly string[]
  /** Path of the asker's network namespace when it is to be asked from there. */
  readonly namespace?: string | undefined
  readonly isUdp: boolean
  readonly signal: AbortSignal
}

/** Sends on what is not ours, as it came, and gives back what the first server says that answers. */
export class Forwarder {
  private readonly cache = new AnswerCache()
  private readonly asked = new Map<string, Promise<Buffer | undefined>>()
  private readonly inFlight = new Map<string, number>()
  private readonly failedAtMs = new Map<string, number>()

  constructor(private readonly clock: Clock) {}

  /** Undefined when no server answered, or too much is on its way. Never rejects. */
  async forward(message: Buffer, to: Forwarding): Promise<Buffer | undefined> {
    const key = [
      to.namespace === undefined ? '' : to.asker,
      to.servers,
      to.isUdp,
      message.toString('latin1', 2),
    ].join()
    const known = this.cache.find(key, this.clock.monotonicMs()) ?? (await this.once(key, message, to))
    return known && withId(known, message.readUInt16BE(0))
  }

  /** Whoever asks the same meanwhile waits for the same answer. */
  private once(key: string, message: Buffer, to: Forwarding): Promise<Buffer | undefined> {
    const underWay = this.asked.get(key)
    if (underWay) return underWay
    const own = this.inFlight.get(to.asker) ?? 0
    if (this.asked.size >= IN_FLIGHT_MAX || own >= IN_FLIGHT_PER_ASKER_MAX) return Promise.resolve(undefined)
    this.inFlight.set(to.asker, own + 1)
    const asking = this.askAll(message, to).then((answer) => {
      if (answer) this.cache.keep(key, answer, keepSeconds(answer), this.clock.monotonicMs())
      return answer
    })
    this.asked.set(key, asking)
    return asking.finally(() => {
      this.asked.delete(key)
      const left = (this.inFlight.get(to.asker) ?? 1) - 1
      if (left > 0) this.inFlight.set(to.asker, left)
      else this.inFlight.delete(to.asker)
    })
  }

  /** One after another; a server's refusal is given back when no other has anything better. */
  private async askAll(message: Buffer, to: Forwarding): Promise<Buffer | undefined> {
    const query = withId(message, randomInt(0x10000))
    let refusal: Buffer | undefined
    for (const server of this.inOrder(to.servers)) {
      if (to.signal.aborted) return undefined
      const answer = await this.ask(query, server, to)
      if (answer && !isRefusal(answer)) return answer
      refusal ??= answer
    }
    return refusal
  }

  private async ask(query: Buffer, server: string, to: Forwarding): Promise<Buffer | undefined> {
    const signal = AbortSignal.any([to.signal, AbortSignal.timeout(SERVER_MS)])
    try {
      const answer = await (to.isUdp ? askByUdp : askByTcp)({
        query,
        server,
        signal,
        namespace: to.namespace,
      })
      this.failedAtMs.delete(server)
      return answer
    } catch {
      if (!to.signal.aborted) this.failedAtMs.set(server, this.clock.monotonicMs())
      return undefined
    }
  }

  private inOrder(servers: readonly string[]): readonly string[] {
    const since = this.clock.monotonicMs() - DISTRUST_MS
    const isDistrusted = (server: string) => (this.failedAtMs.get(server) ?? Number.NEGATIVE_INFINITY) > since
    return [...servers.filter((server) => !isDistrusted(server)), ...servers.filter(isDistrusted)]
  }
}

const isRefusal = (answer: Buffer): boolean =>
  rcodeOf(answer) === SERVER_FAILED || rcodeOf(answer) === REFUSED
