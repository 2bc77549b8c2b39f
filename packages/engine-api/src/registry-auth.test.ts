import { Fault } from '@berth/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseRegistryAuth, parseRegistryConfig } from './registry-auth.js'

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

test.each([
  [
    { username: 'u', password: 'p', serveraddress: 'r.example' },
    { username: 'u', password: 'p', serverAddress: 'r.example' },
  ],
  [{ auth: Buffer.from('u:p:q').toString('base64') }, { username: 'u', password: 'p:q' }],
  [{ identitytoken: 'token' }, { identityToken: 'token' }],
  [{ registrytoken: 'token' }, { registryToken: 'token' }],
  [{ username: '', password: '', auth: '' }, undefined],
  [{}, undefined],
])('%j is %j', (sent, auth) => {
  expect(parseRegistryAuth(encode(sent))).toEqual(auth)
  expect(parseRegistryAuth(Buffer.from(JSON.stringify(sent)).toString('base64'))).toEqual(auth)
})

test('no header is nobody', () => {
  expect(parseRegistryAuth(undefined)).toBeUndefined()
  expect(parseRegistryAuth('')).toBeUndefined()
  expect(parseRegistryConfig(undefined)).toEqual({})
})

test('a build has credentials by registry', () => {
  expect(parseRegistryConfig(encode({ 'r.example': { username: 'u', password: 'p' } }))).toEqual({
    'r.example': { username: 'u', password: 'p' },
  })
})

test.each(['!', 'e30 ', encode([]), encode('x'), encode({ username: 1 }), 'bm90IGpzb24'])(
  '%j is refused',
  (header) => {
    expect(() => parseRegistryAuth(header)).toThrow(expect.objectContaining({ code: 'engine.auth_invalid' }))
  },
)

test('any header is credentials, nobody, or one fault that does not repeat it', () => {
  const json = fc.dictionary(
    fc.constantFrom('username', 'password', 'auth', 'identitytoken', 'x'),
    fc.oneof(fc.string(), fc.integer(), fc.constant(null)),
  )
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String(), json.map(encode)), (header) => {
      for (const read of [parseRegistryAuth, parseRegistryConfig])
        try {
          read(header)
        } catch (error) {
          if (!Fault.is(error, 'engine.auth_invalid')) throw error
          if (header.length > 12) expect(error.message).not.toContain(header)
        }
    }),
    { numRuns: 50_000 },
  )
}, 60_000)
