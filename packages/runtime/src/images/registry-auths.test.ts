import { expect, test } from 'vitest'
import { authFor } from './registry-auths.js'

const [hub, own, local] = [{ username: 'hub' }, { username: 'own' }, { username: 'local' }]
const auths = {
  'https://index.docker.io/v1/': hub,
  'registry.example.com': own,
  'http://127.0.0.1:5001/v2/': local,
}

test.each([
  ['debian', hub],
  ['docker.io/library/debian:12', hub],
  ['registry.example.com/a/b@sha256:'.concat('a'.repeat(64)), own],
  ['127.0.0.1:5001/a', local],
  ['127.0.0.1:5000/a', undefined],
  ['example.com/registry.example.com/a', undefined],
])('credentials for %s', async (reference, expected) => {
  expect(await authFor(auths, reference)).toBe(expected)
})

test('who is asked one by one is asked for the host', async () => {
  expect(await authFor(async (host) => ({ username: host }), 'debian')).toEqual({ username: 'docker.io' })
})

test('none are given to anybody', async () => {
  expect(await authFor(undefined, 'debian')).toBeUndefined()
  expect(await authFor({}, 'debian')).toBeUndefined()
})
