import { expect, test } from 'vitest'
import { isAtLeast, negotiateVersion, parseApiVersion } from './api-version.js'
import { familiarName, splitTag } from './familiar-name.js'

const SPOKEN = { apiVersion: '1.44', minApiVersion: '1.24' }

test.each([
  ['/info', '1.44', '/info'],
  ['/v1.24/info', '1.24', '/info'],
  ['/v1.44', '1.44', ''],
  ['/v1.30/v1.30/x', '1.30', '/v1.30/x'],
  ['/v1/info', '1.44', '/v1/info'],
  ['/volumes', '1.44', '/volumes'],
  ['/v1.44x/info', '1.44', '/v1.44x/info'],
])('%s is version %s of %s', (given, version, path) => {
  expect(negotiateVersion(given, SPOKEN)).toEqual({ version: parseApiVersion(version), path })
})

test.each(['/v1.45/info', '/v2.0/info', '/v1.23/info', '/v0.99/info'])('%s is refused', (path) => {
  expect(() => negotiateVersion(path, SPOKEN)).toThrow(
    expect.objectContaining({ code: 'engine.version_unsupported' }),
  )
})

test('minor versions are numbers, not decimals', () => {
  expect(isAtLeast(parseApiVersion('1.9'), '1.24')).toBe(false)
  expect(isAtLeast(parseApiVersion('1.24'), '1.9')).toBe(true)
  expect(isAtLeast(parseApiVersion('2.0'), '1.44')).toBe(true)
})

test.each([
  ['docker.io/library/busybox:1', 'busybox:1', { name: 'docker.io/library/busybox', tag: '1' }],
  ['docker.io/me/app:2', 'me/app:2', { name: 'docker.io/me/app', tag: '2' }],
  ['r.example:5000/app', 'r.example:5000/app', { name: 'r.example:5000/app', tag: undefined }],
])('%s is shown as %s and splits into %j', (reference, familiar, split) => {
  expect(familiarName(reference)).toBe(familiar)
  expect(splitTag(reference)).toEqual(split)
})
