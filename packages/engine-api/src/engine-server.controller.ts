import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Fault, fault, type Logger } from '@berth/core'
import { negotiateVersion } from './api-version.js'
import { errorBody, statusOf } from './error-answer.js'
import { HttpCall } from './http-call.controller.js'
import { Query } from './query.js'
import type { Route } from './route.js'
import { Router } from './router.js'
import { takeBytes } from './upgraded-body.controller.js'

export interface EngineServerOptions {
  readonly routes: readonly Route[]
  readonly server: {
    readonly apiVersion: string
    readonly minApiVersion: string
    /** `linux` */
    readonly osType: string
    readonly experimental: boolean
    /** The `Server` header, e.g. `Berth/0.1.0 (linux)`. */
    readonly name: string
  }
  readonly logger: Logger
  readonly limits?: EngineLimits
}

export interface EngineLimits {
  /** Of a JSON body; 4 MiB by default. */
  readonly jsonBytes?: number
  /** How long open streams may take to end when the server closes; 2 s by default. */
  readonly closeGraceMs?: number
}

export interface EngineServer {
  /** Not yet listening: see `listenOnSocket`. */
  readonly http: Server
  /** Takes no more requests, ends those that are open by their signal, then cuts what is left. Idempotent. */
  close(): Promise<void>
}

const JSON_BYTES_MAX = 4 * 1024 * 1024
const HEADER_BYTES_MAX = 256 * 1024
const CLOSE_GRACE_MS = 2_000

/**
 * The Docker Engine API over HTTP/1.1: versions, headers, errors, bodies and hijacked connections as docker's clients expect them. What the
 * endpoints mean is the routes' business.
 */
export function createEngineServer(options: EngineServerOptions): EngineServer {
  const router = new Router(options.routes)
  const open = new Map<AbortController, Promise<void>>()
  const accept = (request: IncomingMessage, response: ServerResponse, socket: Socket, isUpgrade: boolean) => {
    const leaving = new AbortController()
    const leave = () => leaving.abort(fault.cancelled('cancelled', 'the client has left'))
    socket.once('close', leave)
    const work = answer(options, router, { request, response, socket, isUpgrade, signal: leaving.signal })
    const done = work.finally(() => {
      if (!isUpgrade) socket.off('close', leave)
      open.delete(leaving)
    })
    open.set(leaving, done)
  }
  const http = createServer(
    { requireHostHeader: false, maxHeaderSize: HEADER_BYTES_MAX, requestTimeout: 0, keepAliveTimeout: 0 },
    (request, response) => accept(request, response, request.socket, false),
  )
  const upgraded = new Set<Duplex>()
  http.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    upgraded.add(socket)
    socket.once('close', () => upgraded.delete(socket))
    if (head.length > 0) socket.unshift(head)
    accept(request, responseOn(request, socket), socket, true)
  })
  http.on('clientError', (_error, socket: Duplex) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
    else socket.destroy()
  })
  return {
    http,
    close: async () => {
      const closed = new Promise<void>((resolve) => http.close(() => resolve()))
      http.closeIdleConnections()
      for (const leaving of open.keys()) leaving.abort(fault.cancelled('cancelled', 'the server is closing'))
      await settledWithin(Promise.allSettled(open.values()), options.limits?.closeGraceMs ?? CLOSE_GRACE_MS)
      for (const socket of upgraded) socket.destroy()
      http.closeAllConnections()
      await closed
    },
  }
}

/** An answer on a connection that node's HTTP server has let go of; it is the last one there. */
function responseOn(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket)
  response.once('finish', () => {
    response.detachSocket(socket)
    socket.destroySoon()
  })
  socket.on('error', () => socket.destroy())
  return response
}

async function settledWithin(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work, late])
  clearTimeout(timer)
}

interface Incoming {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly socket: Socket
  readonly isUpgrade: boolean
  readonly signal: AbortSignal
}

async function answer(
  options: EngineServerOptions,
  router: Router<Route>,
  incoming: Incoming,
): Promise<void> {
  const { request, response, socket } = incoming
  response.on('error', () => {})
  setHeaders(options, response)
  let call: HttpCall | undefined
  try {
    const { handler, made } = findRoute(options, router, incoming)
    call = made
    await handler.handle(made)
    if (!made.isAnswered)
      throw fault.internal('engine.no_answer', `${request.method} ${made.path} gave no answer`)
  } catch (error) {
    const failure = Fault.from(error)
    const status = statusOf(failure.kind)
    logFailure(options.logger, request, failure, status)
    if (!call?.isHijacked && !response.headersSent && !socket.destroyed) fail(response, failure, status)
    else socket.destroy()
  }
}

function setHeaders({ server }: EngineServerOptions, response: ServerResponse): void {
  response.setHeader('Api-Version', server.apiVersion)
  response.setHeader('Docker-Experimental', String(server.experimental))
  response.setHeader('Ostype', server.osType)
  response.setHeader('Server', server.name)
}

function findRoute(
  options: EngineServerOptions,
  router: Router<Route>,
  { request, response, socket, isUpgrade, signal }: Incoming,
): { readonly handler: Route; readonly made: HttpCall } {
  refusePages(request)
  const [rawPath = '/', ...queries] = originForm(request.url ?? '/').split('?')
  const { version, path } = negotiateVersion(rawPath, options.server)
  const found = router.find(request.method ?? 'GET', path)
  if (!found) throw fault.notFound('engine.page_not_found', 'page not found')
  const made = new HttpCall({
    request,
    response,
    path,
    version,
    signal,
    isUpgrade,
    params: found.params,
    query: new Query(new URLSearchParams(queries.join('?'))),
    jsonBytesMax: options.limits?.jsonBytes ?? JSON_BYTES_MAX,
    body: isUpgrade ? takeBytes(socket, upgradedLength(request)) : request,
  })
  return { handler: found.route, made }
}

/**
 * Only browsers send an Origin, and no page is a client of this API: whoever puts a proxy before the socket does not open it to the pages that its
 * users happen to visit (DNS rebinding, cross-site requests; ASVS 3.5.2). @throws engine.origin_refused
 */
function refusePages({ headers }: IncomingMessage): void {
  if (headers.origin === undefined) return
  throw fault.permissionDenied(
    'engine.origin_refused',
    `requests of web pages (Origin: ${headers.origin.slice(0, 200)}) are not answered here: use the dashboard's API`,
  )
}

/** `http://docker/v1.44/info`, as clients behind a proxy ask, is `/v1.44/info`. */
const originForm = (url: string): string => url.replace(/^https?:\/\/[^/?]*/i, '') || '/'

/** @throws engine.body_invalid for a chunked body, whose end nobody could tell from what follows it */
function upgradedLength({ headers }: IncomingMessage): number {
  if (headers['transfer-encoding'] !== undefined)
    throw fault.invalidArgument('engine.body_invalid', 'a request that upgrades cannot have a chunked body')
  return Number(headers['content-length'] ?? 0)
}

function fail(response: ServerResponse, failure: Fault, status: number): void {
  const text = `${JSON.stringify(errorBody(failure))}\n`
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
  })
  response.end(text)
}

function logFailure(logger: Logger, request: IncomingMessage, failure: Fault, status: number): void {
  const fields = { method: request.method, url: request.url?.slice(0, 300), code: failure.code, status }
  if (failure.kind === 'internal')
    logger.error({ ...fields, error: failure.message, stack: failure.stack }, 'engine API call failed')
  else logger.debug({ ...fields, error: failure.message }, 'engine API call failed')
}
