import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { type Fault, fault } from '@berth/core'
import type { z } from 'zod'
import type { ApiVersion } from './api-version.js'
import { hijackPlain, hijackUpgraded } from './hijack.controller.js'
import { writeJsonText } from './json-answer.js'
import { parseWithSchema } from './parse-with-schema.js'
import type { Query } from './query.js'
import { readBody } from './read-body.js'
import type { AnswerHeaders, AnswerStream, Call, StreamOptions } from './route.js'
import { parseStrictJson } from './strict-json.js'
import { acceptWebsocket } from './websocket.controller.js'

/** What one request is made of, before a handler sees it. */
export interface CallParts {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly path: string
  readonly params: Readonly<Record<string, string>>
  readonly query: Query
  readonly version: ApiVersion
  readonly signal: AbortSignal
  readonly jsonBytesMax: number
  readonly body: AsyncIterable<Uint8Array>
  /** The client asked for `Upgrade`, so that the connection is already raw. */
  readonly isUpgrade: boolean
}

const RAW_STREAM = 'application/vnd.docker.raw-stream'

export class HttpCall implements Call {
  /** The connection no longer speaks HTTP. */
  isHijacked = false

  constructor(private readonly parts: CallParts) {}

  get method(): string {
    return this.parts.request.method ?? 'GET'
  }
  get path(): string {
    return this.parts.path
  }
  get params(): Readonly<Record<string, string>> {
    return this.parts.params
  }
  get query(): Query {
    return this.parts.query
  }
  get version(): ApiVersion {
    return this.parts.version
  }
  get headers(): IncomingHttpHeaders {
    return this.parts.request.headers
  }
  get signal(): AbortSignal {
    return this.parts.signal
  }
  get body(): AsyncIterable<Uint8Array> {
    return this.parts.body
  }
  get isAnswered(): boolean {
    return this.isHijacked || this.parts.response.headersSent
  }

  async readJson<S extends z.ZodType>(schema: S): Promise<z.output<S>> {
    const bytes = await this.readBytes()
    if (bytes.length > 0) assertJsonType(this.headers['content-type'])
    return parseWithSchema(schema, bytes.length === 0 ? {} : parseStrictJson(bytes))
  }

  readBytes(): Promise<Uint8Array> {
    return readBody(this.parts.body, this.parts.jsonBytesMax)
  }

  json(status: number, value: unknown): void {
    this.answer(status, { 'Content-Type': 'application/json' }, `${writeJsonText(value)}\n`)
  }

  text(status: number, value: string, headers: AnswerHeaders = {}): void {
    this.answer(status, { 'Content-Type': 'text/plain; charset=utf-8', ...headers }, value)
  }

  empty(status: number, headers: AnswerHeaders = {}): void {
    this.answer(status, headers, '')
  }

  private answer(status: number, headers: AnswerHeaders, text: string): void {
    const { response } = this.parts
    const length = status === 204 || status === 304 ? {} : { 'Content-Length': Buffer.byteLength(text) }
    response.writeHead(status, { ...length, ...headers })
    response.end(text)
  }

  stream(contentType: string, options: StreamOptions = {}): AnswerStream {
    const { response, signal } = this.parts
    response.writeHead(options.status ?? 200, { 'Content-Type': contentType, ...options.headers })
    response.flushHeaders()
    options.cut?.addEventListener('abort', () => response.destroy(), { once: true })
    const write = (chunk: Uint8Array | string): Promise<void> => {
      if (response.destroyed) return Promise.reject(gone())
      return response.write(chunk) ? Promise.resolve() : drained(response, signal)
    }
    return {
      write,
      writeJson: (value) => write(`${writeJsonText(value)}\r\n`),
      end: () => new Promise((resolve) => response.end(() => resolve())),
    }
  }

  hijack(contentType = RAW_STREAM): Duplex {
    this.isHijacked = true
    const { request, response, isUpgrade } = this.parts
    return isUpgrade ? hijackUpgraded(response, contentType) : hijackPlain(request, response, contentType)
  }

  websocket(): Promise<Duplex> {
    const { request, response, isUpgrade } = this.parts
    if (!isUpgrade)
      throw fault.invalidArgument('engine.not_a_websocket', 'this endpoint speaks websocket only')
    const accepted = acceptWebsocket(request, response)
    this.isHijacked = true
    return accepted
  }
}

const gone = (): Fault => fault.cancelled('cancelled', 'the client has left')

/** @throws cancelled when the client leaves or the server closes first */
function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      response.off('drain', settle).off('close', settle)
      signal.removeEventListener('abort', settle)
      if (response.destroyed || signal.aborted) reject(gone())
      else resolve()
    }
    if (signal.aborted) return settle()
    response.once('drain', settle).once('close', settle)
    signal.addEventListener('abort', settle, { once: true })
  })
}

/** @throws engine.content_type */
function assertJsonType(header: string | undefined): void {
  const type = (header ?? '').split(';')[0]?.trim().toLowerCase()
  if (type === 'application/json') return
  throw fault.invalidArgument(
    'engine.content_type',
    type === ''
      ? 'malformed Content-Type header (): mime: no media type'
      : `unsupported Content-Type header (${(header ?? '').slice(0, 100)}): must be 'application/json'`,
  )
}
