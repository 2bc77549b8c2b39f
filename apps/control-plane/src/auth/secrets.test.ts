import { expect, test } from 'vitest'
import { hashSecret, SECURE_SESSION_COOKIE } from './secrets.js'

test('what is stored of a secret does not contain it and is the same every time', () => {
  expect(hashSecret('berth_pat_x')).toBe(hashSecret('berth_pat_x'))
  expect(hashSecret('a')).toMatch(/^[0-9a-f]{64}$/)
  expect(hashSecret('a')).not.toBe(hashSecret('b'))
})

test('the cookie over TLS is bound to the host', () => expect(SECURE_SESSION_COOKIE).toMatch(/^__Host-/))
