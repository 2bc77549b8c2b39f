import type { IncomingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'
import type { z } from 'zod'
import type { ApiVersion } from './api-version.js'
import type { Query } from './query.js'

/**
 * One endpoint of the Docker Engine API. The version prefix is taken off before; `{id}` is one segment, `{name...}` is one or more.
 * What `handle` throws becomes docker's `{"message"}` with the status of the fault's kind; after the headers are out the connection is cut.
 */
export interface Route {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  /** e.g. `/containers/{id}/start`, `/images/{name...}/json` */
  readonly path: string
  handle(call: Call): Promise<void>
}

/** One request and its one answer. */
export interface Call {
  readonly method: string
  /** Without version prefix and query. */
  readonly path: string
  readonly params: Readonly<Record<string, string>>
  readonly query: Query
  /** What the client asked for, which is at most ours. */
  readonly version: ApiVersion
  readonly headers: IncomingHttpHeaders
  /** Fires when the client has left before the answer was complete, and when the server closes. */
  readonly signal: AbortSignal
  /** The body as it comes, at the pace it is read. */
  readonly body: AsyncIterable<Uint8Array>

  /**
   * Reads and checks the whole body (at most `limits.jsonBytes`). An empty body is `{}` where the schema takes that.
   * @throws engine.body_invalid, engine.body_too_large
   */
  readJson<S extends z.ZodType>(schema: S): Promise<z.output<S>>
  /** As `readJson`, with the bytes as they came. */
  readBytes(): Promise<Uint8Array>

  /** bigint values are written as JSON integers. */
  json(status: number, value: unknown): void
  text(status: number, value: string, headers?: AnswerHeaders): void
  empty(status: number, headers?: AnswerHeaders): void
  /** Sends the headers at once; what is written goes out at once. */
  stream(contentType: string, options?: StreamOptions): AnswerStream
  /**
   * Turns the connection into raw bytes both ways: `101 UPGRADED` where the client asked to upgrade, else `200` with the body as input. The
   * body must have been read before. The writable end may be ended while the other side still sends, and the other way round.
   */
  hijack(contentType?: string): Duplex
  /** Turns the connection into a websocket whose binary messages are pieces of the stream. @throws engine.not_a_websocket */
  websocket(): Promise<Duplex>
}

export type AnswerHeaders = Readonly<Record<string, string>>

export interface StreamOptions {
  /** Ends the connection in the middle, whatever the client has not read yet. */
  readonly cut?: AbortSignal
  readonly status?: number
  readonly headers?: AnswerHeaders
}

/** Back-pressured; everything rejects with `cancelled` once the client has left. */
export interface AnswerStream {
  /** Resolves when the connection takes more. */
  write(chunk: Uint8Array | string): Promise<void>
  /** One line of JSON, as docker's streams have it (`\r\n` after each). */
  writeJson(value: unknown): Promise<void>
  /** Resolves when everything was handed to the kernel. */
  end(): Promise<void>
}
