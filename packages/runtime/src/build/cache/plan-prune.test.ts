import { expect, test } from 'vitest'
import { planPrune } from './plan-prune.js'
import type { KeptRecord } from './records.store.js'

const record = (name: string, usedAtMs: number, sizeBytes = 10): KeptRecord => ({
  key: `sha256:${name.repeat(64)}` as KeptRecord['key'],
  kind: 'run',
  description: name,
  layer: undefined,
  createdAtMs: 0,
  durationMs: 0,
  sizeBytes,
  usedAtMs,
  uses: 0,
})
const all = [record('a', 3), record('b', 1), record('c', 2, 30)]
const names = (records: readonly KeptRecord[]) => records.map(({ description }) => description).join('')

test.each([
  ['everything, least recently used first', {}, 'bca'],
  ['down to what may be kept', { keepBytes: 40 }, 'b'],
  ['down to less', { keepBytes: 39 }, 'bc'],
  ['nothing when there is room', { keepBytes: 50 }, ''],
  ['what was not used since', { usedBeforeMs: 3 }, 'bc'],
  ['one by its id', { ids: ['cccc'] }, 'c'],
])('%s', (_what, wanted, expected) => {
  expect(names(planPrune(all, wanted, () => false))).toBe(expected)
})

test('what a build holds stays, whatever was asked for', () => {
  expect(names(planPrune(all, {}, (key) => key.startsWith('sha256:b')))).toBe('ca')
})
