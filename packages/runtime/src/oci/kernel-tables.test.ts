import fc from 'fast-check'
import { expect, test } from 'vitest'
import { blockBytesV1, blockBytesV2, networkCounters, statValue } from './cgroup-stats.js'
import { mountOf, mountPoints } from './mount-table.js'

test('statistics of v1 and v2 are found by key, and sums are over all devices', () => {
  const stat = 'usage_usec 5\nuser_usec 3\ninactive_file 9\ntotal_inactive_file 7\n'
  expect(
    ['user_usec', 'inactive_file', 'total_inactive_file', 'none'].map((key) => statValue(stat, key)),
  ).toEqual([3, 9, 7, 0])
  const v1 = '254:0 Read 10\n254:0 Write 20\n254:0 Total 30\n8:0 Read 1\nTotal 31\n'
  expect(blockBytesV1(v1)).toEqual({ read: 11, written: 20 })
  expect(blockBytesV2('254:0 rbytes=10 wbytes=20 rios=1\n8:0 rbytes=1 wbytes=2\n')).toEqual({
    read: 11,
    written: 22,
  })
})

test('counters of every interface but the loopback', () => {
  const text =
    'Inter-|   Receive  |  Transmit\n face |bytes packets errs\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 10 2 3 4 0 0 0 0 50 6 7 8 0 0 0 0\neth1.5:99 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n'
  const counters = networkCounters(text)
  expect(Object.keys(counters)).toEqual(['eth0', 'eth1.5'])
  expect(counters.eth0).toEqual({
    rxBytes: 10,
    rxPackets: 2,
    rxErrors: 3,
    rxDropped: 4,
    txBytes: 50,
    txPackets: 6,
    txErrors: 7,
    txDropped: 8,
  })
})

const TABLE =
  '21 1 254:0 / / rw - ext4 /dev/vda rw\n30 21 0:5 / /a\\040b rw shared:3 - tmpfs x rw\n31 21 0:6 / /a\\040b/c rw master:3 - tmpfs x rw\n32 31 0:7 / /a\\040b/c rw - tmpfs y rw\n'

test('a path lies on the innermost mount above it, the last one where there are several', () => {
  const table = mountPoints(TABLE)
  expect(table.map(({ propagation }) => propagation)).toEqual(['private', 'shared', 'slave', 'private'])
  expect(mountOf('/a b/x', table)).toMatchObject({ device: '0:5', propagation: 'shared' })
  expect(mountOf('/a b/c/d', table)).toMatchObject({ device: '0:7' })
  expect(mountOf('/a bc', table)).toMatchObject({ target: '/' })
})

test('whatever the text, tables are read without a throw and numbers are whole', () => {
  const line = fc.oneof(
    fc.string(),
    fc.stringMatching(/^[ -~]{0,40}$/),
    fc.stringMatching(/^(eth0|a:b)?:? ?[0-9 =rbytes/]{0,40}$/),
  )
  const text = fc.array(line, { maxLength: 4 }).map((lines) => lines.join('\n'))
  const holds = (input: string) => {
    mountPoints(input)
    const numbers = [
      statValue(input, 'usage_usec'),
      ...Object.values(blockBytesV1(input)),
      ...Object.values(blockBytesV2(input)),
      ...Object.values(networkCounters(input)).flatMap((counters) => Object.values(counters)),
    ]
    return numbers.every((value) => Number.isInteger(value) && value >= 0)
  }
  fc.assert(fc.property(text, holds), { numRuns: 50_000 })
})
