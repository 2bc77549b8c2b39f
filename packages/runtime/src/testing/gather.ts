import type { Attachment, OutputChunk } from '../api.js'

/** All that an attachment gives, per stream. */
export async function gather(
  output: AsyncIterable<OutputChunk> | undefined,
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] }
  for await (const { stream, bytes } of output ?? []) parts[stream].push(bytes)
  return { stdout: Buffer.concat(parts.stdout).toString(), stderr: Buffer.concat(parts.stderr).toString() }
}

/** Reads on until the text has come; gives everything since the call. */
export async function readUntil(attachment: Attachment, text: string): Promise<string> {
  let heard = ''
  const iterator = attachment.output[Symbol.asyncIterator]()
  while (!heard.includes(text)) {
    const next = await iterator.next()
    if (next.done) throw new Error(`the output ended without ${JSON.stringify(text)}: ${heard}`)
    heard += Buffer.from(next.value.bytes).toString()
  }
  return heard
}
