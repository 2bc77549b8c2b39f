import { expect, test } from 'vitest'
import { KeptContexts } from './kept-contexts.js'

const released: string[] = []
const aContext = (dir: string, sizeBytes = 1) => ({
  context: { dir, release: async () => void released.push(dir) },
  listing: new Map(),
  sizeBytes,
})

test('one is for one build at a time', async () => {
  const kept = new KeptContexts()
  await kept.put('a', aContext('/a'))
  expect(kept.take('a')?.context.dir).toBe('/a')
  expect(kept.take('a')).toBeUndefined()
})

test('the later of two of one name stays', async () => {
  const kept = new KeptContexts()
  await kept.put('b', aContext('/b1'))
  await kept.put('b', aContext('/b2'))
  expect(released).toContain('/b1')
  expect(kept.take('b')?.context.dir).toBe('/b2')
})

test('beyond eight of them, or two gigabytes, those not used for longest go', async () => {
  const kept = new KeptContexts()
  for (let at = 0; at < 9; at++) await kept.put(`n${at}`, aContext(`/n${at}`))
  expect(released.filter((dir) => dir.startsWith('/n'))).toEqual(['/n0'])
  await kept.put('large', aContext('/large', 2 * 1024 ** 3))
  expect(released.filter((dir) => dir.startsWith('/n'))).toHaveLength(9)
  expect(kept.take('large')?.context.dir).toBe('/large')
  await kept.put('larger', aContext('/larger', 3 * 1024 ** 3))
  expect(released).toContain('/larger')
})

test('all are released at the end', async () => {
  const kept = new KeptContexts()
  await kept.put('x', aContext('/x'))
  await kept.clear()
  expect(released).toContain('/x')
  expect(kept.take('x')).toBeUndefined()
})
