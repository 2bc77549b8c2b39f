import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { DetachReader, frame } from '@berth/engine-api'
import type { Attachment, OutputChunk } from '@berth/runtime'

export interface Pumping {
  readonly attachment: Attachment
  readonly client: Duplex
  /** A terminal's output is raw; without one each piece says which stream it is of. */
  readonly isMultiplexed: boolean
  readonly hasInput: boolean
  /** Only a terminal's input is searched for them. */
  readonly detachKeys: Uint8Array | undefined
  readonly signal: AbortSignal
}

/**
 * Moves bytes both ways until the output ends, the client leaves or types the detach keys. The client's end of input becomes the end of stdin
 * while output goes on. A slow client slows only itself.
 */
export async function pump(pumping: Pumping): Promise<void> {
  const { attachment, client, signal } = pumping
  const leave = () => attachment.close()
  signal.addEventListener('abort', leave, { once: true })
  client.once('close', leave)
  try {
    readInput(pumping)
    await writeOutput(pumping)
  } finally {
    signal.removeEventListener('abort', leave)
    attachment.close()
    finish(client)
  }
}

function readInput({ attachment, client, hasInput, detachKeys }: Pumping): void {
  if (!hasInput) {
    client.resume()
    return
  }
  const reader = new DetachReader(detachKeys ?? new Uint8Array())
  client.on('data', (bytes: Uint8Array) => {
    const { pass, isDetached } = reader.push(bytes)
    client.pause()
    const sent = pass.length === 0 ? Promise.resolve() : attachment.write(pass)
    void sent
      .catch(() => {})
      .then(() => {
        if (isDetached) attachment.close()
        client.resume()
      })
  })
  client.once('end', () => {
    void attachment
      .write(reader.flush())
      .catch(() => {})
      .then(() => attachment.endInput())
  })
}

async function writeOutput({ attachment, client, isMultiplexed }: Pumping): Promise<void> {
  for await (const chunk of attachment.output) {
    if (client.destroyed) return
    if (!client.write(bytesOf(chunk, isMultiplexed))) await drained(client)
  }
}

export const bytesOf = ({ stream, bytes }: OutputChunk, isMultiplexed: boolean): Uint8Array =>
  isMultiplexed ? frame(stream, bytes) : bytes

/** Resolves too when the client is gone. */
async function drained(client: Duplex): Promise<void> {
  const settled = new AbortController()
  const { signal } = settled
  try {
    await Promise.race([once(client, 'drain', { signal }), once(client, 'close', { signal })])
  } finally {
    settled.abort()
  }
}

/** Everything written goes out first. What the client still sends is read, or the kernel would tell it of a reset instead of an end. */
function finish(client: Duplex): void {
  client.resume()
  client.end(() => setImmediate(() => client.destroy()))
}
