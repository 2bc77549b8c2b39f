import { fault } from '@berth/core'

/**
 * docker's multiplexed stream (`application/vnd.docker.multiplexed-stream`): each piece has a header of 8 bytes, the stream's number, three zeros and
 * the length in network order.
 */
export type FrameStream = 'stdin' | 'stdout' | 'stderr' | 'system-error'

export interface Frame {
  readonly stream: FrameStream
  readonly bytes: Uint8Array
}

const HEADER = 8
const NUMBERS: readonly FrameStream[] = ['stdin', 'stdout', 'stderr', 'system-error']
const FRAME_BYTES_MAX = 64 * 1024 * 1024

export function frame(stream: FrameStream, bytes: Uint8Array): Buffer {
  const framed = Buffer.alloc(HEADER + bytes.length)
  framed[0] = NUMBERS.indexOf(stream)
  framed.writeUInt32BE(bytes.length, 4)
  framed.set(bytes, HEADER)
  return framed
}

/** Takes bytes in any pieces and gives the frames that are complete. Costs what comes in, however small the pieces. */
export class FrameReader {
  private pieces: Uint8Array[] = []
  private length = 0

  /** @throws engine.frame_invalid */
  push(bytes: Uint8Array): readonly Frame[] {
    this.pieces.push(bytes)
    this.length += bytes.length
    const frames: Frame[] = []
    while (this.length >= HEADER) {
      const head = this.head()
      const end = HEADER + head.readUInt32BE(4)
      const stream = streamOf(head, end - HEADER)
      if (this.length < end) break
      const all = this.joined()
      frames.push({ stream, bytes: all.subarray(HEADER, end) })
      this.pieces = end < all.length ? [all.subarray(end)] : []
      this.length -= end
    }
    return frames
  }

  /** Bytes of a frame that is not complete. */
  get pendingBytes(): number {
    return this.length
  }

  private head(): Buffer {
    const [first] = this.pieces
    if (first && first.length >= HEADER) return Buffer.from(first.buffer, first.byteOffset, HEADER)
    return this.joined().subarray(0, HEADER)
  }

  private joined(): Buffer {
    const all = Buffer.concat(this.pieces)
    this.pieces = [all]
    return all
  }
}

function streamOf(head: Buffer, length: number): FrameStream {
  const stream = NUMBERS[head[0] ?? -1]
  if (stream === undefined || head[1] !== 0 || head[2] !== 0 || head[3] !== 0)
    throw fault.invalidArgument('engine.frame_invalid', `unrecognized stream: ${head[0] ?? ''}`)
  if (length > FRAME_BYTES_MAX)
    throw fault.invalidArgument('engine.frame_invalid', `a frame of ${length} bytes is too long`)
  return stream
}
