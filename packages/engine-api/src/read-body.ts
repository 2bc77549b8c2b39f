import { fault } from '@berth/core'

/** All of a body in memory. @throws engine.body_too_large as soon as it is longer than allowed */
export async function readBody(body: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > bytesMax)
      throw fault.invalidArgument('engine.body_too_large', `request body is larger than ${bytesMax} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
