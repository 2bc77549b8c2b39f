import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { OutputChunk } from '../api.js'
import { Backlog } from './backlog.store.js'

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'bt-backlog-'))
})
afterAll(() => rmSync(dir, { recursive: true }))

const KIB = 1024
const LIMITS = { memoryBytes: 8 * KIB, fileBytes: 512 * KIB }
const chunkOf = (number: number, size = 4_000): OutputChunk => ({
  stream: number % 2 ? 'stderr' : 'stdout',
  bytes: Buffer.alloc(size, number % 256),
})
const plain = (chunk: OutputChunk | undefined) => chunk && [chunk.stream, chunk.bytes.length, chunk.bytes[0]]

test('what goes in comes out in order, from memory, from the file and round its end', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(90), fc.nat(90)), { maxLength: 40 }), (rounds) => {
      const backlog = new Backlog(dir, LIMITS)
      let [put, taken] = [0, 0]
      for (const [puts, takes] of rounds) {
        for (let index = 0; index < puts && !backlog.isFull; index++) backlog.push(chunkOf(put++))
        for (let index = 0; index < takes && taken < put; index++)
          expect(plain(backlog.take())).toEqual(plain(chunkOf(taken++)))
      }
      while (taken < put) expect(plain(backlog.take())).toEqual(plain(chunkOf(taken++)))
      expect(backlog.take()).toBeUndefined()
      backlog.close()
    }),
    { numRuns: 60 },
  )
  expect(readdirSync(dir)).toEqual([])
})

test('it says when it is full, refuses what does not fit and has room again when some was taken', () => {
  const backlog = new Backlog(dir, LIMITS)
  let put = 0
  while (!backlog.isFull) backlog.push(chunkOf(put++))
  expect(() => {
    for (let index = 0; index < 100; index++) backlog.push(chunkOf(0))
  }).toThrow(expect.objectContaining({ code: 'stdio.backlog_full' }))
  while (backlog.isFull) backlog.take()
  expect(() => backlog.push(chunkOf(1))).not.toThrow()
  backlog.close()
  backlog.close()
  expect(backlog.take()).toBeUndefined()
})

test('many small chunks are kept within the same memory', () => {
  const backlog = new Backlog(dir, { memoryBytes: 8 * KIB, fileBytes: 4 * KIB * KIB })
  for (let index = 0; index < 50_000; index++) backlog.push(chunkOf(index, 3))
  for (let index = 0; index < 50_000; index++) expect(backlog.take()?.bytes[0]).toBe(index % 256)
  backlog.close()
})
