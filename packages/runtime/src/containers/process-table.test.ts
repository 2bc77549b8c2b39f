import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkPsArguments, parseProcessTable } from './process-table.js'

const OUTPUT = [
  'UID          PID    PPID  C STIME TTY          TIME CMD',
  'root           1       0  0 Nov24 ?        00:00:01 /sbin/init splash  now',
  'root          17       1  0 Nov24 ?        00:00:00 sh -c sleep 1; true',
  'root         170       1  0 Nov24 ?        00:00:00 sleep',
  '',
].join('\n')

test('only the lines of the given processes are told, the last column whole', () => {
  const table = parseProcessTable(OUTPUT, new Set([17]))
  expect(table.titles).toEqual(['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'])
  expect(table.processes).toEqual([['root', '17', '1', '0', 'Nov24', '?', '00:00:00', 'sh -c sleep 1; true']])
})

test('the column of the pid may be anywhere, threads follow their process', () => {
  const output = 'COMMAND PID\nsleep 17\nthread -\nother 18\nthread -\n'
  expect(parseProcessTable(output, new Set([17])).processes).toEqual([
    ['sleep', '17'],
    ['thread', '-'],
  ])
})

test.each(['', 'USER\nroot\n', 'PPID\n1\n'])('%j has no column for the pid', (output) => {
  expect(() => parseProcessTable(output, new Set())).toThrow(
    expect.objectContaining({ code: 'container.ps_invalid' }),
  )
})

test.each([['-o', 'pid=x'], ['-opid=x,args'], ['-o user,pid=PID'], ['a\0b']])(
  'the arguments %j are refused',
  (...args) => {
    expect(() => checkPsArguments(args)).toThrow(expect.objectContaining({ code: 'container.ps_invalid' }))
  },
)

test.each([[['-ef']], [['aux']], [['-o', 'pid,cmd']], [['-eo', 'user=U,pid,args']]])('%j is fine', (args) => {
  expect(() => checkPsArguments(args)).not.toThrow()
})

test('whatever ps says, the answer is a table of our processes or a fault', () => {
  const word = fc.oneof(
    fc.constantFrom('PID', '17', '18', '-', ' ', '\t', '\n', '\r'),
    fc.string({ maxLength: 2 }),
  )
  fc.assert(
    fc.property(fc.array(word, { maxLength: 10 }), (words) => {
      try {
        const { titles, processes } = parseProcessTable(words.join(' '), new Set([17]))
        expect(titles).toContain('PID')
        if (processes.some((row) => row.length > titles.length)) throw new Error('a row is too long')
      } catch (error) {
        expect(error).toMatchObject({ code: 'container.ps_invalid' })
      }
    }),
    { numRuns: 50_000 },
  )
}, 30_000)
