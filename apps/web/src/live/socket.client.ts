import { type ClientMessage, type ServerMessage, serverMessageSchema, type Topic } from '@berth/domain'
import { post } from '../api/http.client'
import { reconnectDelayMs } from './backoff'

export type LiveState = 'connecting' | 'live' | 'offline'

export interface LiveHandlers {
  onState(state: LiveState): void
  /** After every connect, the first too: what was read before may be old. */
  onOpen(): void
  onMessage(message: ServerMessage): void
}

const PING_MS = 20_000
const SILENT_MS = 45_000

/** The page's one websocket. It reconnects for ever, and subscribes again to what is on screen. */
export class LiveSocket {
  private socket: WebSocket | undefined
  private readonly topics = new Map<Topic, number>()
  private readonly logs = new Map<string, ClientMessage & { type: 'logs.open' }>()
  private attempt = 0
  private isClosed = false
  private heardAt = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private pinging: ReturnType<typeof setInterval> | undefined

  constructor(private readonly handlers: LiveHandlers) {}

  open(): void {
    this.isClosed = false
    void this.connect()
    this.pinging = setInterval(() => this.ping(), PING_MS)
    window.addEventListener('online', this.hurry)
    document.addEventListener('visibilitychange', this.hurry)
  }

  close(): void {
    this.isClosed = true
    clearTimeout(this.timer)
    clearInterval(this.pinging)
    window.removeEventListener('online', this.hurry)
    document.removeEventListener('visibilitychange', this.hurry)
    this.socket?.close()
  }

  /** Gives a function that takes the subscription back. */
  follow(topics: readonly Topic[]): () => void {
    for (const topic of topics) {
      const count = this.topics.get(topic) ?? 0
      this.topics.set(topic, count + 1)
      if (count === 0) this.send({ type: 'subscribe', topic })
    }
    return () => {
      for (const topic of topics) {
        const count = (this.topics.get(topic) ?? 1) - 1
        if (count > 0) this.topics.set(topic, count)
        else {
          this.topics.delete(topic)
          this.send({ type: 'unsubscribe', topic })
        }
      }
    }
  }

  openLogs(message: ClientMessage & { type: 'logs.open' }): () => void {
    this.logs.set(message.stream, message)
    this.send(message)
    return () => {
      this.logs.delete(message.stream)
      this.send({ type: 'logs.close', stream: message.stream })
    }
  }

  private readonly hurry = (): void => {
    if (
      document.visibilityState !== 'visible' ||
      this.socket?.readyState === WebSocket.OPEN ||
      this.timer === undefined
    )
      return
    clearTimeout(this.timer)
    void this.connect()
  }

  private async connect(): Promise<void> {
    this.timer = undefined
    this.handlers.onState(this.attempt === 0 ? 'connecting' : 'offline')
    try {
      const { ticket } = await post<{ ticket: string }>('/ws-tickets')
      if (this.isClosed) return
      const scheme = window.location.protocol === 'https:' ? 'wss' : 'ws'
      const socket = new WebSocket(
        `${scheme}://${window.location.host}/ws?ticket=${encodeURIComponent(ticket)}`,
      )
      this.socket = socket
      socket.onmessage = (event) => this.receive(String(event.data))
      socket.onclose = () => this.again()
    } catch {
      this.again()
    }
  }

  private again(): void {
    this.socket = undefined
    if (this.isClosed) return
    this.handlers.onState('offline')
    this.timer = setTimeout(() => void this.connect(), reconnectDelayMs(this.attempt, Math.random()))
    this.attempt += 1
  }

  private receive(text: string): void {
    this.heardAt = Date.now()
    const parsed = serverMessageSchema.safeParse(JSON.parse(text))
    if (!parsed.success) return
    if (parsed.data.type !== 'hello') return this.handlers.onMessage(parsed.data)
    this.attempt = 0
    for (const topic of this.topics.keys()) this.send({ type: 'subscribe', topic })
    for (const logs of this.logs.values()) this.send(logs)
    this.handlers.onState('live')
    this.handlers.onOpen()
  }

  /** A connection that went silent is given up: behind some proxies it would never say so itself. */
  private ping(): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return
    if (Date.now() - this.heardAt > SILENT_MS) this.socket.close()
    else this.send({ type: 'ping' })
  }

  private send(message: ClientMessage): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message))
  }
}
