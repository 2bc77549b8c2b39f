import type { OutputChunk } from '../api.js'

const STREAMS: Readonly<Record<number, OutputChunk['stream']>> = { 2: 'stdout', 3: 'stderr' }

/** One packet of a monitor's attach socket: a byte that names the stream, then what was written. Undefined for one that says nothing. */
export function readPacket(packet: Uint8Array): OutputChunk | undefined {
  const stream = STREAMS[packet[0] ?? 0]
  return stream && packet.length > 1 ? { stream, bytes: packet.subarray(1) } : undefined
}

/** The monitor reads at most this much of one packet and drops the rest of it. */
export const INPUT_PACKET_BYTES = 32_768

/** Input in packets that the monitor takes whole. */
export function* inputPackets(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += INPUT_PACKET_BYTES)
    yield bytes.subarray(at, at + INPUT_PACKET_BYTES)
}

const HEADER = 5
const CODES = { stdout: 2, stderr: 3 } as const

/** A chunk as it lies in a backlog's file: stream, length, bytes. */
export function encodeRecord({ stream, bytes }: OutputChunk): Buffer {
  const record = Buffer.alloc(HEADER + bytes.length)
  record[0] = CODES[stream]
  record.writeUInt32LE(bytes.length, 1)
  record.set(bytes, HEADER)
  return record
}

/** The whole records at the beginning of a block, and how many bytes they are. */
export function decodeRecords(block: Buffer): {
  readonly chunks: readonly OutputChunk[]
  readonly length: number
} {
  const chunks: OutputChunk[] = []
  let at = 0
  while (at + HEADER <= block.length) {
    const end = at + HEADER + block.readUInt32LE(at + 1)
    if (end > block.length) break
    chunks.push({ stream: STREAMS[block[at] ?? 0] ?? 'stdout', bytes: block.subarray(at + HEADER, end) })
    at = end
  }
  return { chunks, length: at }
}
