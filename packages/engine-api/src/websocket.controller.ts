import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { fault } from '@berth/core'
import { createWebSocketStream, WebSocketServer } from 'ws'

const MESSAGE_BYTES_MAX = 1024 * 1024
const acceptor = new WebSocketServer({
  noServer: true,
  perMessageDeflate: false,
  maxPayload: MESSAGE_BYTES_MAX,
})

/** Makes the connection a websocket, whose messages are pieces of a stream both ways. @throws engine.not_a_websocket */
export function acceptWebsocket(request: IncomingMessage, response: ServerResponse): Promise<Duplex> {
  const { socket } = response
  if (!socket) throw fault.cancelled('cancelled', 'the client has left')
  if (request.headers.upgrade?.toLowerCase() !== 'websocket' || !request.headers['sec-websocket-key'])
    throw fault.invalidArgument('engine.not_a_websocket', 'this endpoint speaks websocket only')
  response.detachSocket(socket)
  return new Promise((resolve) => {
    acceptor.handleUpgrade(request, socket, Buffer.alloc(0), (connection) => {
      const stream = createWebSocketStream(connection)
      stream.on('error', () => {})
      resolve(stream)
    })
  })
}
