import type { Socket } from 'node:net'
import { fault } from '@berth/core'

/**
 * The body of a request that asked to upgrade: node hands over the raw connection after the headers, so exactly `length` bytes are taken from it
 * and what follows stays there for whoever hijacks it. @throws cancelled when the connection ends before
 */
export async function* takeBytes(socket: Socket, length: number): AsyncGenerator<Uint8Array> {
  let left = length
  while (left > 0) {
    const chunk = socket.read() as Buffer | null
    if (chunk === null) {
      await readable(socket)
      continue
    }
    if (chunk.length > left) socket.unshift(chunk.subarray(left))
    yield chunk.subarray(0, left)
    left -= Math.min(left, chunk.length)
  }
}

function readable(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      socket.off('readable', settle).off('end', settle).off('close', settle)
      if (socket.destroyed || socket.readableEnded)
        reject(fault.cancelled('cancelled', 'the connection ended before the body did'))
      else resolve()
    }
    if (socket.destroyed || socket.readableEnded) return settle()
    socket.on('readable', settle).on('end', settle).on('close', settle)
  })
}
