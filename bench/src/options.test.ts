import { Fault } from '@berth/core'
import { expect, test } from 'vitest'
import { ROW_IDS } from './engine/rows.js'
import { parseOptions } from './options.js'

test('defaults: twenty runs on a bridge, no file', () => {
  expect(parseOptions(['run'])).toEqual({ command: 'run', runs: 20, out: undefined, network: 'bridge' })
})

test('engine measures every row with a hundred containers, or the rows that are named', () => {
  expect(parseOptions(['engine'])).toEqual({
    command: 'engine',
    runs: 20,
    out: undefined,
    rows: ROW_IDS,
    containers: 100,
  })
  expect(parseOptions(['engine', '--rows', 'ps,life', '--containers', '5'])).toMatchObject({
    rows: ['life', 'ps'],
    containers: 5,
  })
})

test.each([
  [['engine', '--rows', 'life,nonsense']],
  [['engine', '--containers', '0']],
  [['run', 'engine']],
  [[]],
  [['walk']],
  [['run', '--runs', '0']],
  [['run', '--runs', 'x']],
  [['run', '--network', 'host']],
  [['run', '--fast']],
])('%j is refused with bench.usage', (argv) => {
  const refused = (() => {
    try {
      return parseOptions(argv)
    } catch (error) {
      return error
    }
  })()
  expect(Fault.is(refused, 'bench.usage')).toBe(true)
})
