import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Clock } from '@berth/core'

const LIFE_MS = 30_000

/**
 * One-use tickets for the websocket, because a browser cannot send a header with it. Signed with the cluster's key, so any control plane
 * accepts what another issued; used ones are remembered until they expire.
 */
export class Tickets {
  private readonly used = new Map<string, number>()

  constructor(
    private readonly key: Uint8Array,
    private readonly clock: Clock,
  ) {}

  issue(userName: string): string {
    const body = Buffer.from(
      JSON.stringify({
        userName,
        expiresAtMs: this.clock.nowMs() + LIFE_MS,
        nonce: randomBytes(12).toString('base64url'),
      }),
    ).toString('base64url')
    return `${body}.${this.sign(body)}`
  }

  /** The user it was issued to; undefined when it is forged, expired or used. */
  consume(ticket: string): string | undefined {
    const [body = '', mac = ''] = ticket.split('.')
    const expected = Buffer.from(this.sign(body))
    const given = Buffer.from(mac)
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
    const { userName, expiresAtMs } = JSON.parse(Buffer.from(body, 'base64url').toString()) as {
      userName: string
      expiresAtMs: number
    }
    const nowMs = this.clock.nowMs()
    for (const [old, dueMs] of this.used) if (dueMs < nowMs) this.used.delete(old)
    if (expiresAtMs < nowMs || this.used.has(body)) return undefined
    this.used.set(body, expiresAtMs)
    return userName
  }

  private sign(body: string): string {
    return createHmac('sha256', this.key).update(`ws-ticket:${body}`).digest('base64url')
  }
}
