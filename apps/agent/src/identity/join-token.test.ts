import { expect, test } from 'vitest'
import { readJoinToken } from './join-token.js'

const digest = 'A'.repeat(43)
const secret = `${'b'.repeat(41)}-_`

test('a token gives digest and secret, spaces and a last line break ignored', () => {
  expect(readJoinToken(` berth-join-1.${digest}.${secret}\n`)).toEqual({ caDigest: digest, secret })
})

test.each([
  '',
  'berth-join-1',
  `berth-join-2.${digest}.${secret}`,
  `berth-join-1.${digest}`,
  `berth-join-1.${digest}.${secret}.more`,
  `berth-join-1.${digest}x.${secret}`,
  `berth-join-1.${digest}.${'='.repeat(43)}`,
  `berth_pat_${secret}`,
])('%j is refused, and the message does not repeat it', (text) => {
  expect(() => readJoinToken(text)).toThrow(
    expect.objectContaining({
      code: 'join.token_invalid',
      retryable: false,
      message: expect.not.stringContaining(secret),
    }),
  )
})
