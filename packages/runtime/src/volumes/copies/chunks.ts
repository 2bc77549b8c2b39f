import { createHash } from 'node:crypto'
import { fault } from '@berth/core'
import type { VolumeChunk } from '../../api.js'

export const CHUNK_BYTES = 4 * 1024 * 1024

export const digestOf = (bytes: Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/** A stream of bytes as numbered chunks; each is given when it is known whether it is the last. */
export async function* chunksOf(
  bytes: AsyncIterable<Uint8Array>,
  first: number,
  chunkBytes = CHUNK_BYTES,
): AsyncGenerator<VolumeChunk> {
  let number = first
  let rest: Uint8Array[] = []
  let length = 0
  for await (const piece of bytes) {
    rest.push(piece)
    length += piece.length
    while (length > chunkBytes) {
      const whole = Buffer.concat(rest)
      yield chunk(number, whole.subarray(0, chunkBytes), false)
      number += 1
      rest = [whole.subarray(chunkBytes)]
      length -= chunkBytes
    }
  }
  yield chunk(number, Buffer.concat(rest), true)
}

const chunk = (number: number, bytes: Uint8Array, isLast: boolean): VolumeChunk => ({
  ...{ number, bytes, isLast },
  digest: digestOf(bytes),
})

/** @throws volume.import_invalid for a chunk out of turn, too long, or whose bytes are not those of its digest */
export function checkChunk({ number, bytes, digest, isLast }: VolumeChunk, expected: number): void {
  if (number !== expected) throw invalid(`chunk ${number} came where ${expected} was expected`)
  if (bytes.length > CHUNK_BYTES || (!isLast && bytes.length !== CHUNK_BYTES))
    throw invalid(`chunk ${number} has ${bytes.length} bytes`)
  if (digestOf(bytes) !== digest) throw invalid(`chunk ${number} was damaged on its way`)
}

export const invalid = (why: string) =>
  fault.invalidArgument('volume.import_invalid', `the export cannot be read: ${why}`)

export const incomplete = (name: string, nextChunk: number, cause?: unknown) =>
  fault.unavailable(
    'volume.import_incomplete',
    `the import of volume ${name} broke off before chunk ${nextChunk}: import again from that chunk on`,
    { params: { volume: name, nextChunk }, cause },
  )
