import { Filters } from '@berth/engine-api'
import type { VolumeInfo } from '@berth/runtime'
import { expect, test } from 'vitest'
import { matchesVolume, VOLUME_FILTERS, volumeJson } from './volume-json.js'

const volume = (change: Partial<VolumeInfo> = {}): VolumeInfo => ({
  name: 'data',
  anonymous: false,
  labels: { tier: 'db' },
  driverOptions: {},
  mountpoint: '/v/data',
  createdAt: '2026-01-01T00:00:00Z',
  usedBy: [],
  ...change,
})

test.each([
  [{}, true],
  [{ name: ['at'] }, true],
  [{ name: ['x', 'data'] }, true],
  [{ name: ['x'] }, false],
  [{ driver: ['local'] }, true],
  [{ driver: ['nfs'] }, false],
  [{ dangling: ['true'] }, true],
  [{ dangling: ['0'] }, false],
  [{ label: ['tier'] }, true],
  [{ label: ['tier=db'], name: ['data'] }, true],
  [{ label: ['tier=web'] }, false],
  [{ label: ['__proto__'] }, false],
])('filters %j: %s', (filters, matches) => {
  const parsed = Filters.parse(JSON.stringify(filters), VOLUME_FILTERS)
  expect(matchesVolume(volume(), parsed)).toBe(matches)
})

test('an anonymous volume is labelled as docker labels it', () => {
  expect(volumeJson(volume({ anonymous: true }))).toMatchObject({
    Labels: { 'com.docker.volume.anonymous': '', tier: 'db' },
  })
  expect(volumeJson(volume({ labels: {} }))).toMatchObject({ Labels: null, Options: null })
})
