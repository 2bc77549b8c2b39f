import { createSocket } from 'node:dgram'
import { createServer, type Socket } from 'node:net'
import { bindIn } from '../host/namespace-sockets.js'
import { FrameReader, framed } from './frames.js'
import { NAME_SERVER_IP, type RedirectPorts } from './redirect-messages.js'

const IDLE_MS = 10_000
const CONNECTIONS_MAX = 32

export interface Listening {
  readonly ports: RedirectPorts
  close(): void
}

/** Gives the answer, or nothing where there is none to give. Never rejects. */
export type Answering = (message: Buffer, isUdp: boolean) => Promise<Buffer | undefined>

/** Listens at free ports of the name server's address in a network namespace, given by path. @throws host.netlink, host.syscall */
export function listenIn(namespace: string, answer: Answering): Listening {
  const [udp, tcp] = bindIn(namespace, NAME_SERVER_IP, ['udp', 'tcp'])
  if (!udp || !tcp) throw new Error('two sockets were asked for')
  const closeUdp = listenUdp(udp.fd, answer)
  const closeTcp = listenTcp(tcp.fd, answer)
  return {
    ports: { udp: udp.port, tcp: tcp.port },
    close: () => {
      closeUdp()
      closeTcp()
    },
  }
}

function listenUdp(fd: number, answer: Answering): () => void {
  const socket = createSocket('udp4')
  let isOpen = true
  socket.on('message', async (message, from) => {
    const answered = await answer(message, true)
    // The asker may have gone meanwhile, which it is told by nobody.
    if (answered && isOpen) socket.send(answered, from.port, from.address, () => {})
  })
  socket.on('error', () => {})
  socket.bind({ fd, exclusive: true })
  return () => {
    isOpen = false
    socket.close()
  }
}

function listenTcp(fd: number, answer: Answering): () => void {
  const connections = new Set<Socket>()
  const server = createServer((connection) => {
    connections.add(connection)
    connection.setTimeout(IDLE_MS, () => connection.destroy())
    connection.on('error', () => {}).on('close', () => connections.delete(connection))
    const frames = new FrameReader()
    connection.on('data', (data: Buffer) => {
      for (const message of frames.push(data))
        answer(message, false).then((answered) => {
          if (answered && connection.writable) connection.write(framed(answered))
        })
    })
  })
  server.maxConnections = CONNECTIONS_MAX
  server.on('error', () => {})
  server.listen({ fd })
  return () => {
    server.close()
    for (const connection of connections) connection.destroy()
  }
}
