import type { Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { fault } from '@berth/core'
import { handedOver } from '../content/handed-over.js'

const CHUNK_BYTES = 1 << 19
/** Real archives stay far below; a bomb is all ratio (A8). Counted only from a size on that honest zeros of a small layer do not reach. */
const RATIO_MAX = 2_000
const RATIO_FROM_BYTES = 1024 ** 3

export type Compression = 'gzip' | 'zstd' | 'none'

/** By the magic number; anything else is taken as not compressed. */
export function compressionOf(head: Uint8Array): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip'
  const isZstd = head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd
  return isZstd ? 'zstd' : 'none'
}

export const tooLarge = (limit: string) =>
  fault.resourceExhausted('image.layer_too_large', `the layer unpacks to more than ${limit}`)

/** One level of compression taken off; what is inside may be compressed again and is left so. @throws image.layer_too_large for bombs */
export async function* decompressed(
  source: AsyncIterable<Uint8Array>,
  maxBytes = Number.POSITIVE_INFINITY,
): AsyncGenerator<Buffer> {
  const count = { in: 0, out: 0 }
  for await (const chunk of inflated(counted(source, count))) {
    count.out += chunk.length
    if (count.out > maxBytes) throw tooLarge(`${maxBytes} bytes`)
    if (count.out > RATIO_FROM_BYTES && count.out > count.in * RATIO_MAX)
      throw tooLarge(`${RATIO_MAX} times its compressed size`)
    yield chunk
  }
}

async function* counted(source: AsyncIterable<Uint8Array>, count: { in: number }): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    count.in += chunk.length
    yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  }
}

async function* inflated(source: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const first = await firstBytes(source)
  const compression = compressionOf(first)
  if (compression === 'none') {
    if (first.length > 0) yield first
    yield* source
    return
  }
  const options = { chunkSize: CHUNK_BYTES }
  const transform = compression === 'gzip' ? createGunzip(options) : createZstdDecompress(options)
  feed(transform, first, source).catch((error: unknown) => transform.destroy(error as Error))
  try {
    yield* handedOver(transform as AsyncIterable<Buffer>)
  } finally {
    await source.return(undefined)
  }
}

/** Enough to know the magic number by. */
async function firstBytes(source: AsyncGenerator<Buffer>): Promise<Buffer> {
  let head: Buffer = Buffer.alloc(0)
  while (head.length < 4) {
    const next = await source.next()
    if (next.done) break
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value])
  }
  return head
}

async function feed(
  transform: Readable & NodeJS.WritableStream,
  first: Buffer,
  rest: AsyncGenerator<Buffer>,
): Promise<void> {
  let chunk: Buffer | undefined = first
  while (chunk && !transform.destroyed) {
    if (!transform.write(chunk)) await drained(transform)
    const next: IteratorResult<Buffer> = await rest.next()
    chunk = next.done ? undefined : next.value
  }
  transform.end()
}

const drained = (transform: NodeJS.WritableStream): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      transform.off('drain', done)
      transform.off('close', done)
      resolve()
    }
    transform.on('drain', done)
    transform.on('close', done)
  })
