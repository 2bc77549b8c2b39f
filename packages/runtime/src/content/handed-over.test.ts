import { expect, test } from 'vitest'
import { giveBack, handedOver } from './handed-over.js'

async function passed(chunk: Uint8Array): Promise<Uint8Array> {
  for await (const same of handedOver(one(chunk))) return same
  throw new Error('nothing came')
}

async function* one(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
  yield chunk
}

test('a chunk that was handed over is empty once it is given back, as often as one likes', async () => {
  const chunk = await passed(new Uint8Array(65_536).fill(1))
  expect(chunk[65_535]).toBe(1)
  giveBack(chunk)
  giveBack(chunk)
  expect(chunk.buffer.byteLength).toBe(0)
})

test('what a caller gave stays his', () => {
  const chunk = new Uint8Array(65_536).fill(1)
  giveBack(chunk)
  expect(chunk[65_535]).toBe(1)
})

test('a slice leaves the rest to its other holders', async () => {
  const whole = new Uint8Array(65_536).fill(1)
  const slice = await passed(whole.subarray(0, 65_535))
  giveBack(slice)
  expect([slice[0], whole[65_535]]).toEqual([1, 1])
})

test('memory that other threads see is not taken', async () => {
  const chunk = await passed(new Uint8Array(new SharedArrayBuffer(4_096)).fill(1))
  giveBack(chunk)
  expect(chunk[4_095]).toBe(1)
})
