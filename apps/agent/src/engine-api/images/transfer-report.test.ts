import type { Digest } from '@berth/core'
import type { TransferProgress } from '@berth/runtime'
import { expect, test } from 'vitest'
import { humanSize, progressBar, TransferReport } from './transfer-report.js'

const digest = `sha256:${'ab'.repeat(32)}` as Digest
const step = (state: TransferProgress['state'], doneBytes = 0): TransferProgress => ({
  digest,
  kind: 'layer',
  state,
  doneBytes,
  totalBytes: 100,
})

test('a layer that is pulled goes through docker’s words once each', () => {
  const report = new TransferReport('pull')
  const states = ['waiting', 'transferring', 'verifying', 'unpacking', 'done', 'done'] as const
  const lines = states.flatMap((state, index) => report.lines(step(state), index))
  expect(lines.map(({ status }) => status)).toEqual([
    'Pulling fs layer',
    'Downloading',
    'Verifying Checksum',
    'Download complete',
    'Extracting',
    'Pull complete',
  ])
  expect(new Set(lines.map(({ id }) => id))).toEqual(new Set(['abababababab']))
})

test('moving bytes are told at most ten times a second', () => {
  const report = new TransferReport('pull')
  const lines = Array.from({ length: 1_000 }, (_, ms) => report.lines(step('transferring', ms), ms)).flat()
  expect(lines.filter(({ status }) => status === 'Downloading')).toHaveLength(10)
})

test('manifests and configs are not told of', () => {
  expect(new TransferReport('push').lines({ ...step('done'), kind: 'config' }, 0)).toEqual([])
})

test.each([
  [0, '0B'],
  [999, '999B'],
  [1_000, '1kB'],
  [1_234_567, '1.235MB'],
  [2e15, '2000TB'],
])('%d bytes are %s', (bytes, text) => expect(humanSize(bytes)).toBe(text))

test.each([0, 1, 49, 50, 99, 100, 150])('the bar for %d of 100 is always as wide', (done) => {
  expect(progressBar(done, 100).indexOf(']')).toBe(51)
})
