import type { IncomingMessage } from 'node:http'
import { type Clock, Fault, type Logger } from '@berth/core'
import { type ClientMessage, clientMessageSchema, type ServerMessage, type Topic } from '@berth/domain'
import { Inject } from '@nestjs/common'
import {
  ConnectedSocket,
  MessageBody,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
  SubscribeMessage,
  WebSocketGateway,
} from '@nestjs/websockets'
import type { WebSocket } from 'ws'
import { VERSION } from '../api/system/system.controller.js'
import { LogStream, type LogStreamDeps } from './log-streams.loop.js'
import { mayOpen } from './origin.js'

/** A reader this far behind is told to read everything again instead of being queued for. */
const BEHIND_BYTES = 1024 * 1024
const HOPELESS_BYTES = 16 * 1024 * 1024
const STREAMS_MAX = 8
const PING_MS = 15_000

interface Reader {
  readonly socket: WebSocket
  readonly topics: Set<Topic>
  readonly stale: Set<Topic>
  readonly streams: Map<string, AbortController>
  isAlive: boolean
}

export abstract class RealtimeDeps implements LogStreamDeps {
  abstract readonly read: LogStreamDeps['read']
  abstract readonly host: LogStreamDeps['host']
  abstract readonly clock: Clock
  abstract readonly logger: Logger
  abstract readonly tickets: { consume(ticket: string): string | undefined }
  abstract readonly revision: () => string
}

/** What the browser follows. Messages are checked by the domain's schemas; a wrong one is answered, not fatal. */
@WebSocketGateway({ path: '/ws', maxPayload: 64 * 1024, perMessageDeflate: false })
export class RealtimeGateway implements OnGatewayConnection, OnGatewayDisconnect {
  private readonly readers = new Map<WebSocket, Reader>()
  private readonly pinging: NodeJS.Timeout

  constructor(@Inject(RealtimeDeps) private readonly deps: RealtimeDeps) {
    this.pinging = setInterval(() => this.ping(), PING_MS).unref()
  }

  handleConnection(socket: WebSocket, request: IncomingMessage): void {
    const ticket = new URL(request.url ?? '/', 'http://realtime').searchParams.get('ticket') ?? ''
    if (
      !mayOpen(request.headers.origin, request.headers.host) ||
      this.deps.tickets.consume(ticket) === undefined
    ) {
      socket.close(4401, 'auth.required')
      return
    }
    const reader: Reader = { socket, topics: new Set(), stale: new Set(), streams: new Map(), isAlive: true }
    this.readers.set(socket, reader)
    socket.on('pong', () => {
      reader.isAlive = true
    })
    socket.on('error', (error) => this.deps.logger.debug({ error: error.message }, 'a websocket failed'))
    send(reader, { type: 'hello', serverVersion: VERSION, rev: this.deps.revision() })
  }

  handleDisconnect(socket: WebSocket): void {
    for (const stream of this.readers.get(socket)?.streams.values() ?? []) stream.abort(new Error('closed'))
    this.readers.delete(socket)
  }

  @SubscribeMessage('message')
  receive(@ConnectedSocket() socket: WebSocket, @MessageBody() body: unknown): void {
    const reader = this.readers.get(socket)
    if (!reader) return
    const parsed = clientMessageSchema.safeParse(body)
    if (parsed.success) this.obey(reader, parsed.data)
    else
      send(reader, {
        type: 'error',
        code: 'request.invalid',
        message: 'this message is not one the server knows',
      })
  }

  private obey(reader: Reader, message: ClientMessage): void {
    if (message.type === 'subscribe') reader.topics.add(message.topic)
    else if (message.type === 'unsubscribe') reader.topics.delete(message.topic)
    else if (message.type === 'logs.open') this.openLogs(reader, message)
    else if (message.type === 'logs.close') this.closeLogs(reader, message.stream)
    else send(reader, { type: 'pong' })
  }

  private openLogs(reader: Reader, message: ClientMessage & { type: 'logs.open' }): void {
    if (reader.streams.has(message.stream) || reader.streams.size >= STREAMS_MAX) {
      send(reader, {
        type: 'logs.end',
        stream: message.stream,
        code: 'request.invalid',
        message: `a page may follow at most ${STREAMS_MAX} logs, each under its own name`,
      })
      return
    }
    const control = new AbortController()
    reader.streams.set(message.stream, control)
    const logs = new LogStream(this.deps, message.stream, message, (batch) => {
      if (reader.socket.bufferedAmount > BEHIND_BYTES) return false
      send(reader, batch)
      if (batch.type === 'logs.end') this.closeLogs(reader, message.stream)
      return true
    })
    void logs.run(control.signal)
  }

  private closeLogs(reader: Reader, stream: string): void {
    reader.streams.get(stream)?.abort(new Error('closed'))
    reader.streams.delete(stream)
  }

  /** Sends a change to who follows its topic; one who fell behind gets `resync` once there is room. */
  publish(message: ServerMessage & { type: 'changed' }): void {
    const text = JSON.stringify(message)
    for (const reader of this.readers.values()) {
      if (!reader.topics.has(message.topic)) continue
      if (reader.socket.bufferedAmount > HOPELESS_BYTES) reader.socket.terminate()
      else if (reader.socket.bufferedAmount > BEHIND_BYTES) reader.stale.add(message.topic)
      else if (reader.stale.delete(message.topic)) send(reader, { type: 'resync', topic: message.topic })
      else reader.socket.send(text)
    }
  }

  private ping(): void {
    for (const reader of this.readers.values()) {
      if (!reader.isAlive) reader.socket.terminate()
      reader.isAlive = false
      reader.socket.ping()
      if (reader.socket.bufferedAmount < BEHIND_BYTES)
        for (const topic of reader.stale)
          if (reader.stale.delete(topic)) send(reader, { type: 'resync', topic })
    }
  }

  close(): void {
    clearInterval(this.pinging)
    for (const { socket } of this.readers.values()) socket.close(1012, 'restarting')
  }
}

function send(reader: Reader, message: ServerMessage): void {
  reader.socket.send(JSON.stringify(message))
}

/** For the websocket adapter: every frame is one message of ours. */
export function parseFrame(data: string | Buffer | ArrayBuffer | Buffer[]): { event: string; data: unknown } {
  try {
    return { event: 'message', data: JSON.parse(String(data)) }
  } catch (error) {
    return { event: 'message', data: { invalid: Fault.from(error).message } }
  }
}
