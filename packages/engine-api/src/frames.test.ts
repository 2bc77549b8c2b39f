import { Fault } from '@berth/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Frame, FrameReader, frame } from './frames.js'

const frames = fc.array(
  fc.record({
    stream: fc.constantFrom('stdin' as const, 'stdout' as const, 'stderr' as const),
    bytes: fc.uint8Array({ maxLength: 40 }),
  }),
  { maxLength: 8 },
)
const plain = (read: readonly Frame[]) =>
  read.map(({ stream, bytes }) => [stream, Buffer.from(bytes).toString('hex')])

test('a frame is the stream’s number, three zeros, the length and the bytes', () => {
  expect(frame('stderr', Buffer.from('hi'))).toEqual(Buffer.from([2, 0, 0, 0, 0, 0, 0, 2, 104, 105]))
  expect(frame('stdout', new Uint8Array(70_000)).readUInt32BE(4)).toBe(70_000)
})

test('what was framed is read as it was, wherever the stream is cut', () => {
  fc.assert(
    fc.property(frames, fc.array(fc.nat(20), { minLength: 1, maxLength: 10 }), (sent, sizes) => {
      const wire = Buffer.concat(sent.map(({ stream, bytes }) => frame(stream, bytes)))
      const reader = new FrameReader()
      const read: Frame[] = []
      for (let at = 0, turn = 0; at < wire.length; turn++) {
        const size = 1 + (sizes[turn % sizes.length] ?? 0)
        read.push(...reader.push(wire.subarray(at, at + size)))
        at += size
      }
      expect(plain(read)).toEqual(plain(sent))
      expect(reader.pendingBytes).toBe(0)
    }),
    { numRuns: 2_000 },
  )
})

test('any bytes are frames, a frame that is not complete, or one fault: never another error', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 4 }), (pieces) => {
      const reader = new FrameReader()
      try {
        for (const piece of pieces) reader.push(piece)
      } catch (error) {
        if (!Fault.is(error, 'engine.frame_invalid')) throw error
      }
    }),
    { numRuns: 50_000 },
  )
}, 60_000)

test.each([
  ['an unknown stream', [4, 0, 0, 0, 0, 0, 0, 0]],
  ['no zeros', [1, 0, 1, 0, 0, 0, 0, 0]],
  ['four gigabytes', [1, 0, 0, 0, 255, 255, 255, 255]],
])('%s is refused before anything is kept for it', (_what, head) => {
  expect(() => new FrameReader().push(Uint8Array.from(head))).toThrow(
    expect.objectContaining({ code: 'engine.frame_invalid' }),
  )
})
