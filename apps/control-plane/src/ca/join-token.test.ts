import { expect, test } from 'vitest'
import { formatJoinToken, parseJoinToken, secretHash } from './join-token.js'

const token = { caDigest: 'A'.repeat(43), secret: `${'b'.repeat(41)}-_` }

test('a token is read back as it was written, spaces around it ignored', () => {
  expect(parseJoinToken(formatJoinToken(token))).toEqual(token)
  expect(parseJoinToken(`  ${formatJoinToken(token)}\n`)).toEqual(token)
})

test.each([
  '',
  'berth-join-1',
  `berth-join-2.${token.caDigest}.${token.secret}`,
  `berth-join-1.${token.caDigest}`,
  `berth-join-1.${token.caDigest}.${token.secret}.x`,
  `berth-join-1.${token.caDigest}x.${token.secret}`,
  `berth-join-1.${token.caDigest}.${'='.repeat(43)}`,
  `berth_pat_${token.secret}`,
])('%j is not a join token, and the answer does not repeat it', (text) => {
  expect(() => parseJoinToken(text)).toThrow(
    expect.objectContaining({ code: 'join.token_invalid', kind: 'unauthenticated' }),
  )
  try {
    parseJoinToken(text)
  } catch (error) {
    expect((error as Error).message).not.toContain(token.secret)
  }
})

test('what is stored is not the secret', () => {
  expect(secretHash(token.secret)).toMatch(/^[0-9a-f]{64}$/)
  expect(secretHash(token.secret)).not.toBe(secretHash('x'))
})
