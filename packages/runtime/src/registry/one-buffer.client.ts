import type { ClientRequestArgs, Agent as HttpAgent } from 'node:http'
import type { OnReadOpts } from 'node:net'

const READ_BYTES = 1 << 18

/**
 * Has each connection of the agent read into one buffer for all its life, where node makes a new one of 64 KiB for each read. HTTP's parser copies the
 * body out of what it is given before the next read, so nothing is lost; those buffers lie outside of V8's heap and made it collect all the time
 * (docs/performance.md, "Pull and load"). Gives the agent back.
 */
export function readIntoOneBuffer<A extends HttpAgent>(agent: A): A {
  const connect = agent.createConnection.bind(agent)
  agent.createConnection = (options: ClientRequestArgs & { onread?: OnReadOpts }, callback) => {
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
    const onread = {
      buffer,
      callback: (bytes: number) => {
        socket?.emit('data', buffer.subarray(0, bytes))
        return true
      },
    }
    const socket = connect({ ...options, onread } as ClientRequestArgs, callback)
    return socket
  }
  return agent
}
