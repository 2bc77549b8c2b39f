import { Filters } from '@berth/engine-api'
import type { VolumeInfo } from '@berth/runtime'
import { expect, test } from 'vitest'
import { matchesVolume, PRUNE_FILTERS, VOLUME_FILTERS, volumeJson, wantsPruned } from './volume-json.js'

const volume = (change: Partial<VolumeInfo> = {}): VolumeInfo => ({
  name: 'data',
  anonymous: false,
  labels: { tier: 'db' },
  driver: 'local',
  driverOptions: {},
  scope: 'local',
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

test('a plugin’s volume has its driver, its scope and what the plugin says', () => {
  const theirs = volume({ driver: 'nfs', scope: 'global', status: { health: 'good' } })
  expect(volumeJson(theirs)).toMatchObject({ Driver: 'nfs', Scope: 'global', Status: { health: 'good' } })
  expect(matchesVolume(theirs, Filters.parse('{"driver":["nfs"]}', VOLUME_FILTERS))).toBe(true)
  expect(matchesVolume(theirs, Filters.parse('{"driver":["local"]}', VOLUME_FILTERS))).toBe(false)
})

test.each([
  [{}, true],
  [{ label: ['tier'] }, true],
  [{ label: ['tier=db'] }, true],
  [{ label: ['tier=web'] }, false],
  [{ 'label!': ['tier'] }, false],
  [{ 'label!': ['tier=web'] }, true],
  [{ all: ['true'], 'label!': ['tier=db'] }, false],
])('a prune with %j takes it: %s', (filters, isTaken) =>
  expect(wantsPruned(volume(), Filters.parse(JSON.stringify(filters), PRUNE_FILTERS))).toBe(isTaken),
)

test('an anonymous volume is labelled as docker labels it', () => {
  expect(volumeJson(volume({ anonymous: true }))).toMatchObject({
    Labels: { 'com.docker.volume.anonymous': '', tier: 'db' },
  })
  expect(volumeJson(volume({ labels: {} }))).toMatchObject({ Labels: null, Options: null })
})
