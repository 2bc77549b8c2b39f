import { expect, test } from 'vitest'
import { unfinishedConnections } from './open-connections.js'

const line = (local: string, state: string): string =>
  `   0: ${local} 0100007F:A0B1 ${state} 00000000:00000000 00:00000000 00000000     0        0 1234 1 0000000000000000 20 4 30 10 -1`
const table = (...lines: string[]): string =>
  ['  sl  local_address rem_address   st', ...lines, ''].join('\n')

test.each([
  ['established', '01', 1],
  ['being accepted', '03', 1],
  ['closed by us, not acknowledged', '04', 1],
  ['closed by us, the other end still open', '05', 0],
  ['over', '06', 0],
  ['closed by the other end, not by us', '08', 1],
  ['listening', '0A', 0],
])('%s', (_, state, expected) =>
  expect(unfinishedConnections(table(line('0100007F:1F90', state)), new Set([8080]))).toBe(expected),
)

test('other ports do not count, IPv6 does, and no table is nothing', () => {
  expect(unfinishedConnections(table(line('0100007F:0050', '01')), new Set([8080]))).toBe(0)
  const six = line('00000000000000000000000001000000:1F90', '01')
  expect(unfinishedConnections(table(six, six), new Set([8080]))).toBe(2)
  expect(unfinishedConnections('', new Set([8080]))).toBe(0)
})
