import fc from 'fast-check'
import { expect, test } from 'vitest'
import { seal, unseal } from './seal.js'

const KEY = Buffer.alloc(32, 7)
const NONCE = Buffer.alloc(12, 1)

test('what was sealed opens with the same key', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 500 }),
      fc.uint8Array({ minLength: 12, maxLength: 12 }),
      (plain, nonce) => {
        expect(unseal(KEY, seal(KEY, nonce, plain))).toEqual(Buffer.from(plain))
      },
    ),
  )
})

test('a sealed text shows nothing of what it holds', () => {
  expect(seal(KEY, NONCE, Buffer.from('BEGIN PRIVATE KEY')).includes('PRIVATE')).toBe(false)
})

test('another key, one changed bit anywhere, or a missing end is refused', () => {
  const sealed = seal(KEY, NONCE, Buffer.from('a private key'))
  const wrong = expect.objectContaining({ code: 'secret.wrong_key' })
  expect(() => unseal(Buffer.alloc(32, 8), sealed)).toThrow(wrong)
  for (let index = 0; index < sealed.length; index++) {
    const changed = Buffer.from(sealed)
    changed[index] = (changed[index] ?? 0) ^ 1
    expect(() => unseal(KEY, changed), `byte ${index}`).toThrow(wrong)
  }
  for (let length = 0; length < sealed.length; length++)
    expect(() => unseal(KEY, sealed.subarray(0, length)), `${length} bytes`).toThrow(wrong)
})

test('a shortened proof is refused even when nothing but the proof is there', () => {
  const sealed = seal(KEY, NONCE, Buffer.alloc(0))
  for (let length = 0; length < sealed.length; length++)
    expect(() => unseal(KEY, sealed.subarray(0, length)), `${length} bytes`).toThrow(
      expect.objectContaining({ code: 'secret.wrong_key' }),
    )
})

test('a key of the wrong length is refused as well', () => {
  const sealed = seal(KEY, NONCE, Buffer.from('x'))
  expect(() => unseal(Buffer.alloc(31), sealed)).toThrow(
    expect.objectContaining({ code: 'secret.wrong_key' }),
  )
})
