import { Fault } from '@berth/core'
import { expect, test } from 'vitest'
import { parseOptions } from './options.js'

test('defaults: twenty runs on a bridge, no file', () => {
  expect(parseOptions(['run'])).toEqual({ runs: 20, out: undefined, network: 'bridge' })
})

test.each([
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
