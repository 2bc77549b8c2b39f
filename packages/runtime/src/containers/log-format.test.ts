import fc from 'fast-check'
import { expect, test } from 'vitest'
import { closingLines, LogAssembler } from './log-format.js'

const T = '2026-01-02T03:04:05.123456789+02:00'
const UTC = '2026-01-02T01:04:05.123456789Z'
const read = (...lines: string[]) => {
  const assembler = new LogAssembler()
  return lines.flatMap((line) => assembler.push(line) ?? [])
}

test('a line keeps its text to the last space, and its time becomes UTC with all nanoseconds', () => {
  expect(read(`${T} stdout F  two  spaces `)).toEqual([
    { stream: 'stdout', timestamp: UTC, line: ' two  spaces ' },
  ])
  expect(read(`${T} stderr F `)).toEqual([{ stream: 'stderr', timestamp: UTC, line: '' }])
})

test('partial lines are joined per stream and carry the time of their beginning', () => {
  const later = T.replace(':05', ':06')
  expect(
    read(
      `${T} stdout P one `,
      `${later} stderr P err`,
      `${later} stdout P two `,
      `${later} stderr F or`,
      `${later} stdout F three`,
    ),
  ).toEqual([
    { stream: 'stderr', timestamp: UTC.replace(':05', ':06'), line: 'error' },
    { stream: 'stdout', timestamp: UTC, line: 'one two three' },
  ])
})

test.each(['', 'garbage', `${T} stdin F x`, `${T} stdout Q x`, 'F stdout'])(
  '%j is no line of a log',
  (line) => expect(read(line)).toEqual([]),
)

test('a time that cannot be read is handed on as it is', () => {
  expect(read('yesterday stdout F x')).toEqual([{ stream: 'stdout', timestamp: 'yesterday', line: 'x' }])
})

test('lines left open are closed, one per stream, and nothing else is added', () => {
  expect(closingLines(`${T} stdout P a\n${T} stderr P b\n${T} stderr F c\n`, UTC)).toBe(`${UTC} stdout F \n`)
  expect(closingLines(`${T} stdout F a\n`, UTC)).toBe('')
  expect(closingLines('', UTC)).toBe('')
})

test('however a process’s output is cut into pieces, the same lines come out', () => {
  const line = fc.string().map((text) => text.replaceAll('\n', ''))
  fc.assert(
    fc.property(fc.array(line), fc.integer({ min: 1, max: 5 }), (lines, size) => {
      const pieces = lines.flatMap((text) => {
        const cut = text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? ['']
        return cut.map((piece, index) => `${T} stdout ${index === cut.length - 1 ? 'F' : 'P'} ${piece}`)
      })
      expect(read(...pieces).map((entry) => entry.line)).toEqual(lines)
    }),
    { numRuns: 1_000 },
  )
})
