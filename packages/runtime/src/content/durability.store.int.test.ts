import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestClock } from '@berth/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FileSystemSync } from '../host/file-system-sync.js'
import { type Metadata, openMetadata } from '../metadata.store.js'
import { Durability } from './durability.store.js'

let root: string
let metadata: Metadata
let clock: TestClock
let durability: Durability

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'berth-durability-'))
  metadata = openMetadata(root)
  clock = new TestClock()
  durability = new Durability(root, metadata, clock, 'this boot')
})

afterEach(async () => {
  await durability.settle()
  metadata.close()
  rmSync(root, { recursive: true })
})

const written = () =>
  metadata.db
    .prepare('SELECT key FROM unsynced ORDER BY key')
    .all()
    .map(({ key }) => key)

/** Whoever asked the same disk before this has had its answer, and done with it what was to be done. */
async function barriers(): Promise<void> {
  for (let count = 0; count < 5; count++) await new FileSystemSync(root).sync()
}

test('the barrier is held off for what comes in the next two seconds, and passes for all of it', async () => {
  durability.later('layer:1')
  await clock.advance(1_900)
  durability.later('layer:2')
  await barriers()
  expect(written()).toEqual(['layer:1', 'layer:2'])
  await clock.advance(100)
  await expect.poll(written).toEqual([])
})

test('who settles does not wait for the clock', async () => {
  durability.later('layer:1')
  await durability.settle()
  expect(written()).toEqual([])
  durability.later('layer:2')
  await barriers()
  expect(written()).toEqual(['layer:2'])
})

test('another boot is told what not to trust, this one waits for it again', async () => {
  durability.later('layer:1')
  const sameBoot = new Durability(root, metadata, clock, 'this boot')
  expect(sameBoot.distrusted()).toEqual([])
  await sameBoot.settle()
  expect(written()).toEqual([])
  await durability.settle()
  durability.later('layer:2')
  expect(new Durability(root, metadata, clock, 'the next boot').distrusted()).toEqual(['layer:2'])
})
