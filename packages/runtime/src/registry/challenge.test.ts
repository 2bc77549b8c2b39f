import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isRealmAllowed, parseChallenge } from './challenge.js'
import { registryEndpoint } from './endpoint.js'

test.each([
  ['Basic realm="x"', { scheme: 'basic', params: { realm: 'x' } }],
  [
    'Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push"',
    {
      scheme: 'bearer',
      params: {
        realm: 'https://auth.example/token',
        service: 'r.example',
        scope: 'repository:a/b:pull,push',
      },
    },
  ],
  [
    'bearer Realm = "a\\"b" , error=invalid_token',
    { scheme: 'bearer', params: { realm: 'a"b', error: 'invalid_token' } },
  ],
  ['Negotiate abc', undefined],
  ['Basically', undefined],
  ['', undefined],
  [undefined, undefined],
])('the challenge %j is read as %j', (header, expected) => expect(parseChallenge(header)).toEqual(expected))

test('no header, however long or odd, takes long or breaks the parser', () => {
  const pieces = fc.constantFrom('Bearer ', 'realm', '=', '"', '\\', ',', ' ', 'a', 'x="y"')
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 300 }), (parts) => {
      const challenge = parseChallenge(`Bearer ${parts.join('')}`)
      expect(challenge?.scheme).toBe('bearer')
    }),
    { numRuns: 1_000 },
  )
  const before = performance.now()
  parseChallenge(`Bearer ${'a='.repeat(100_000)}${'"'.repeat(100_000)}`)
  expect(performance.now() - before).toBeLessThan(1_000)
})

describe('where a login may be sent (CVE-2026-33540)', () => {
  test.each([
    ['https://r.example/token', 'https://r.example/', true],
    ['https://auth.docker.io/token', 'https://registry-1.docker.io/', true],
    ['http://127.0.0.1:5000/token', 'http://127.0.0.1:5000/', true],
    ['http://auth.r.example/token', 'https://r.example/', false],
    ['https://evil.example.net/token', 'https://r.example/', false],
    ['https://169.254.169.254/latest', 'https://169.254.169.1/', false],
    ['https://localhost/token', 'https://r.example/', false],
    ['http://127.0.0.1:6000/token', 'http://127.0.0.1:5000/', false],
    ['https://[::1]/token', 'https://r.example/', false],
  ])('%s for %s: %s', (realm, registry, allowed) => {
    expect(isRealmAllowed(new URL(realm), new URL(registry))).toBe(allowed)
  })
})

describe('where a registry is spoken to', () => {
  test.each([
    ['docker.io', undefined, 'https://registry-1.docker.io/'],
    ['r.example:5000', undefined, 'https://r.example:5000/'],
    ['127.0.0.1:5000', undefined, 'http://127.0.0.1:5000/'],
    ['localhost:5000', undefined, 'http://localhost:5000/'],
    ['berth.internal', { endpoint: 'https://10.0.0.1:7443' }, 'https://10.0.0.1:7443/'],
    ['r.example', { plainHttp: true }, 'http://r.example/'],
  ])('%s with %j is %s', (host, access, url) => expect(registryEndpoint(host, access).href).toBe(url))

  test('never without TLS off loopback unless it was allowed', () => {
    const access = { endpoint: 'http://10.0.0.1' }
    expect(() => registryEndpoint('r.example', access)).toThrow(
      expect.objectContaining({ code: 'registry.plain_http' }),
    )
  })
})
