import type { IncomingMessage, ServerResponse } from 'node:http'
import { Duplex } from 'node:stream'
import { fault } from '@berth/core'

/** Answers 101 on a connection that node has already given up; both directions end on their own. */
export function hijackUpgraded(response: ServerResponse, contentType: string): Duplex {
  const { socket } = response
  if (!socket) throw fault.cancelled('cancelled', 'the client has left')
  const headers = Object.entries({
    ...response.getHeaders(),
    'Content-Type': contentType,
    Connection: 'Upgrade',
    Upgrade: 'tcp',
  })
  response.detachSocket(socket)
  // The streams of a hijacked connection are told by their ends; a client that is gone is seen by its handler's signal.
  socket.on('error', () => {})
  socket.write(
    `HTTP/1.1 101 UPGRADED\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
  )
  return socket
}

/**
 * Clients from before the upgrade: a 200 without length whose body is the output. Their input is the request's body where it has one; else it
 * never comes and never ends.
 */
export function hijackPlain(request: IncomingMessage, response: ServerResponse, contentType: string): Duplex {
  response.removeHeader('Transfer-Encoding')
  response.shouldKeepAlive = false
  response.writeHead(200, { 'Content-Type': contentType })
  response.flushHeaders()
  const duplex: Duplex = new Duplex({
    allowHalfOpen: true,
    read: () => void request.resume(),
    write: (chunk: Uint8Array, _encoding, done) => void response.write(chunk, done),
    final: (done) => void response.end(done),
    destroy: (error, done) => {
      response.destroy()
      done(error)
    },
  })
  forwardBody(request, duplex)
  response.once('close', () => duplex.destroy())
  duplex.on('error', () => {})
  return duplex
}

function forwardBody(request: IncomingMessage, duplex: Duplex): void {
  if (request.readableEnded || !hasBody(request)) return
  request.on('data', (chunk: Uint8Array) => {
    if (!duplex.push(chunk)) request.pause()
  })
  request.once('end', () => duplex.push(null))
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
