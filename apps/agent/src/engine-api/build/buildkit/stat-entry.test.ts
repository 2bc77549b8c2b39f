import { fileSync } from '@berth/proto'
import { expect, test } from 'vitest'
import { signatureOf } from './stat-entry.js'

const stat = (change: Partial<fileSync.Stat> = {}): fileSync.Stat =>
  fileSync.Stat.fromPartial({ path: 'a', mode: 0o644, size: 5n, modTime: 1_000_000_001n, ...change })

test.each<[string, Partial<fileSync.Stat>]>([
  ['mode', { mode: 0o755 }],
  ['owner', { uid: 1 }],
  ['group', { gid: 1 }],
  ['size', { size: 6n }],
  ['time, to the nanosecond', { modTime: 1_000_000_002n }],
  ['link', { linkname: 'b' }],
  ['device', { devminor: 1n }],
  ['attributes', { xattrs: { 'user.a': Buffer.from('b') } }],
])('another %s is another signature', (_, change) => {
  expect(signatureOf(stat(change))).not.toBe(signatureOf(stat()))
})

test('the same under another name is the same', () => {
  expect(signatureOf(stat({ path: 'b' }))).toBe(signatureOf(stat()))
})
