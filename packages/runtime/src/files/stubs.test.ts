import { expect, test } from 'vitest'
import type { RawChange } from './requests.js'
import { visibleChanges } from './stubs.js'

const change = (
  path: string,
  kind: RawChange['kind'] = 'added',
  isDirectory = false,
  sizeBytes = 0,
): RawChange => ({
  path,
  kind,
  isDirectory,
  sizeBytes,
})
const shown = (changes: readonly RawChange[]) => visibleChanges(changes).map(({ path }) => path)

test('what every start makes in an empty image is not a change', () =>
  expect(
    shown([
      change('/dev', 'added', true),
      change('/etc', 'added', true),
      change('/etc/hostname'),
      change('/etc/hosts'),
      change('/etc/resolv.conf'),
      change('/proc', 'added', true),
      change('/sys', 'added', true),
    ]),
  ).toEqual([]))

test('what somebody put there is one', () =>
  expect(
    shown([
      change('/dev', 'added', true),
      change('/dev/x'),
      change('/etc', 'modified', true),
      change('/etc/hosts', 'added', false, 3),
      change('/etc/resolv.conf', 'deleted'),
    ]),
  ).toEqual(['/dev', '/dev/x', '/etc', '/etc/hosts', '/etc/resolv.conf']))

test('a directory whose own attributes changed stays', () =>
  expect(shown([change('/etc', 'modified', true)])).toEqual(['/etc']))
