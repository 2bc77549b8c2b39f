import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Router } from './router.js'

const route = (method: string, path: string) => ({ method, path })
const router = new Router([
  route('DELETE', '/images/{name...}'),
  route('GET', '/images/{name...}/json'),
  route('GET', '/images/{name...}/get'),
  route('GET', '/images/get'),
  route('GET', '/images/json'),
  route('GET', '/containers/{id}/json'),
  route('GET', '/containers/json'),
  route('POST', '/containers/{id}/{verb}'),
  route('POST', '/containers/{id}/attach/ws'),
  route('POST', '/containers/{id}/start'),
])

test.each([
  ['GET', '/images/json', '/images/json', {}],
  ['GET', '/images/get', '/images/get', {}],
  ['GET', '/images/a/json', '/images/{name...}/json', { name: 'a' }],
  ['GET', '/images/r.example:5/a/b:1/json', '/images/{name...}/json', { name: 'r.example:5/a/b:1' }],
  ['GET', '/images/a%2Fb/json', '/images/{name...}/json', { name: 'a/b' }],
  ['GET', '/images/json/json', '/images/{name...}/json', { name: 'json' }],
  ['DELETE', '/images/json', '/images/{name...}', { name: 'json' }],
  ['GET', '/containers//web/json', '/containers/{id}/json', { id: 'web' }],
  ['GET', '/containers/json', '/containers/json', {}],
  ['POST', '/containers/a/start', '/containers/{id}/start', { id: 'a' }],
  ['POST', '/containers/a/stop', '/containers/{id}/{verb}', { id: 'a', verb: 'stop' }],
  ['POST', '/containers/a/attach/ws', '/containers/{id}/attach/ws', { id: 'a' }],
  ['GET', '/containers/__proto__/json', '/containers/{id}/json', { id: '__proto__' }],
])('%s %s is %s with %j', (method, path, found, params) => {
  const match = router.find(method, path)
  expect([match?.route.path, match?.params]).toEqual([found, params])
})

test.each([
  ['GET', '/'],
  ['GET', ''],
  ['PUT', '/images/json'],
  ['GET', '/images'],
  ['GET', '/containers/a'],
  ['POST', '/containers/a/b/c'],
])('%s %s is nothing', (method, path) => {
  expect(router.find(method, path)).toBeUndefined()
})

test('a broken escape is refused', () => {
  expect(() => router.find('GET', '/images/%zz/json')).toThrow(
    expect.objectContaining({ code: 'engine.path_invalid' }),
  )
})

test('a path of a hundred thousand segments is answered at once', () => {
  expect(router.find('GET', `/images/${'a/'.repeat(100_000)}x`)).toBeUndefined()
})

test('a name of any segments comes out as it went in', () => {
  const name = fc.array(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(name, (segments) => {
      const path = `/images/${segments.map(encodeURIComponent).join('/')}/json`
      expect(router.find('GET', path)?.params.name).toBe(segments.join('/'))
    }),
  )
})
