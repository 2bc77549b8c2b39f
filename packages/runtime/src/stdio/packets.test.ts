import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { movedWatches } from '../host/inotify-records.js'
import { decodeRecords, encodeRecord, INPUT_PACKET_BYTES, inputPackets, readPacket } from './packets.js'

const RUNS = { numRuns: 50_000 }
const bytes = (maxLength = 60) => fc.uint8Array({ maxLength })

describe('a packet of a monitor', () => {
  test('names its stream with its first byte', () => {
    expect(readPacket(Buffer.from([2, 104, 105]))).toEqual({ stream: 'stdout', bytes: Buffer.from('hi') })
    expect(readPacket(Buffer.from([3, 104, 105]))).toEqual({ stream: 'stderr', bytes: Buffer.from('hi') })
  })

  test('whatever it has, is one chunk of its bytes or says nothing', () => {
    fc.assert(
      fc.property(bytes(), (packet) => {
        const chunk = readPacket(packet)
        const isSpoken = (packet[0] === 2 || packet[0] === 3) && packet.length > 1
        expect(chunk === undefined).toBe(!isSpoken)
        if (chunk) expect(chunk.bytes).toEqual(packet.subarray(1))
      }),
      RUNS,
    )
  })
})

test('input of any length goes in packets the monitor takes whole', () => {
  for (const size of [0, 1, INPUT_PACKET_BYTES, INPUT_PACKET_BYTES + 1, 3 * INPUT_PACKET_BYTES]) {
    const packets = [...inputPackets(Buffer.alloc(size))]
    expect(packets.reduce((sum, packet) => sum + packet.length, 0)).toBe(size)
    expect(Math.max(0, ...packets.map((packet) => packet.length))).toBeLessThanOrEqual(INPUT_PACKET_BYTES)
  }
})

describe('records of a backlog', () => {
  const chunk = fc.record({ stream: fc.constantFrom('stdout' as const, 'stderr' as const), bytes: bytes() })

  test('come out as they went in, wherever the block is cut', () => {
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 8 }), fc.nat(500), (chunks, cut) => {
        const all = Buffer.concat(chunks.map(encodeRecord))
        const first = decodeRecords(all.subarray(0, cut))
        const rest = decodeRecords(all.subarray(first.length))
        const plain = [...first.chunks, ...rest.chunks].map((one) => [one.stream, [...one.bytes]])
        expect(plain).toEqual(chunks.map((one) => [one.stream, [...one.bytes]]))
      }),
      { numRuns: 5_000 },
    )
  })

  test('of foreign bytes never reach past the block', () => {
    fc.assert(
      fc.property(bytes(200), (block) => {
        expect(decodeRecords(Buffer.from(block)).length).toBeLessThanOrEqual(block.length)
      }),
      RUNS,
    )
  })
})

test('whatever the kernel’s watch records have, reading them ends and invents no watch', () => {
  fc.assert(
    fc.property(bytes(200), (block) => {
      expect(movedWatches(Buffer.from(block)).watches.length).toBeLessThanOrEqual(block.length / 16)
    }),
    RUNS,
  )
})
