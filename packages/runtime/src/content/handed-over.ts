/** Memory that came in here and that nobody else will look at again. */
const memory = new WeakSet<ArrayBuffer>()

/**
 * Passes chunks on and notes that nobody else holds them, so that who has used one up may give its memory back. Only for chunks of one's own making or
 * straight from a socket: what a caller gave is his.
 */
export async function* handedOver<Chunk extends Uint8Array>(
  source: AsyncIterable<Chunk>,
): AsyncGenerator<Chunk> {
  for await (const chunk of source) {
    if (chunk.buffer instanceof ArrayBuffer) memory.add(chunk.buffer)
    yield chunk
  }
}

/**
 * Frees a used-up chunk now and not at the next collection, if it was handed over and is not a slice of something larger. What is read from sockets lies
 * outside of V8's heap, and V8 marks the whole heap for every few dozen megabytes of it (docs/performance.md, "Pull and load"). Idempotent.
 */
export function giveBack({ buffer, byteLength }: Uint8Array): void {
  if (!(buffer instanceof ArrayBuffer) || byteLength !== buffer.byteLength) return
  if (memory.delete(buffer)) buffer.transfer(0)
}
