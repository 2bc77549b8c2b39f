import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { connect, isIP, Socket } from 'node:net'
import { socketIn } from '../host/namespace-sockets.js'
import { FrameReader, framed } from './frames.js'
import { isAnswerTo } from './message.js'

const DNS_PORT = 53

/** One question to one server. The signal ends it; the answer has the question's number. */
export interface Asking {
  readonly query: Buffer
  readonly server: string
  /** Path of the network namespace to ask from; absent: the host's. */
  readonly namespace?: string | undefined
  readonly signal: AbortSignal
}

const familyOf = (server: string): 4 | 6 => (isIP(server.split('%')[0] ?? '') === 6 ? 6 : 4)

/**
 * By one datagram from a socket, and so a port, of its own (RFC 5452 9.2): connected, so that the kernel lets nobody else answer and tells of a
 * server that is not there at once. Rejects when there is no answer.
 */
export function askByUdp({ query, server, namespace, signal }: Asking): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = openUdp(server, namespace)
    const end = (settle: () => void) => {
      signal.removeEventListener('abort', onAbort)
      socket.removeAllListeners().on('error', () => {})
      socket.close()
      settle()
    }
    const onAbort = () => end(() => reject(signal.reason))
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('error', (error) => end(() => reject(error)))
    socket.on('message', (answer) => {
      if (isAnswerTo(query, answer)) end(() => resolve(answer))
    })
    socket.on('connect', () => socket.send(query))
    socket.connect(DNS_PORT, server)
  })
}

function openUdp(server: string, namespace: string | undefined): UdpSocket {
  const family = familyOf(server)
  const socket = createSocket(family === 4 ? 'udp4' : 'udp6')
  if (namespace !== undefined) socket.bind({ fd: socketIn(namespace, 'udp', family), exclusive: true })
  return socket
}

/** As `askByUdp`, over a connection (RFC 7766). */
export function askByTcp({ query, server, namespace, signal }: Asking): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const to = { host: server, port: DNS_PORT }
    const socket =
      namespace === undefined
        ? connect(to)
        : new Socket({ fd: socketIn(namespace, 'tcp', familyOf(server)) }).connect(to)
    const end = (settle: () => void) => {
      signal.removeEventListener('abort', onAbort)
      socket.removeAllListeners().on('error', () => {})
      socket.destroy()
      settle()
    }
    const onAbort = () => end(() => reject(signal.reason))
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    const frames = new FrameReader()
    socket.on('error', (error) => end(() => reject(error)))
    socket.on('close', () => end(() => reject(new Error(`${server} closed the connection`))))
    socket.on('data', (data) => {
      const answer = frames.push(data).find((frame) => isAnswerTo(query, frame))
      if (answer) end(() => resolve(answer))
    })
    socket.on('connect', () => socket.write(framed(query)))
  })
}
