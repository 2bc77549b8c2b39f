import { expect, test } from 'vitest'
import { isSignalMinded } from './signal-masks.js'

const status = (blocked: string, ignored: string, caught: string): string =>
  `Name:\tx\nSigPnd:\t0000000000004000\nSigBlk:\t${blocked}\nSigIgn:\t${ignored}\nSigCgt:\t${caught}\n`
const NONE = '0000000000000000'
const TERM = '0000000000004000'

test.each([
  ['none of them', status(NONE, NONE, NONE), false],
  ['blocked', status(TERM, NONE, NONE), true],
  ['ignored', status(NONE, TERM, NONE), true],
  ['caught', status(NONE, NONE, TERM), true],
  ['another', status(NONE, NONE, '0000000000002000'), false],
  ['a process that is gone', '', false],
])('%s', (_, text, expected) => expect(isSignalMinded(text, 15)).toBe(expected))

test('the last of the real-time signals', () =>
  expect(isSignalMinded(status('8000000000000000', NONE, NONE), 64)).toBe(true))
