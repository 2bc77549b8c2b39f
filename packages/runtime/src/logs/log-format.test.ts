import fc from 'fast-check'
import { expect, test } from 'vitest'
import { closingRecords, LogAssembler, PIECE_BYTES, parseRecord, splitRecords } from './log-format.js'

const T = '2026-01-02T03:04:05.123456789+02:00'
const UTC = '2026-01-02T01:04:05.123456789Z'
const read = (...lines: string[]) => {
  const assembler = new LogAssembler()
  return lines.flatMap((line) =>
    assembler.push(Buffer.from(line)).map(({ bytes, ...entry }) => {
      expect(Buffer.from(bytes).toString()).toBe(entry.line)
      return entry
    }),
  )
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
  const closing = (log: string) => closingRecords(Buffer.from(log), UTC)
  expect(closing(`${T} stdout P a\n${T} stderr P b\n${T} stderr F c\n`)).toBe(`${UTC} stdout E \n`)
  expect(closing(`${T} stdout F a\n`)).toBe('')
  expect(closing('')).toBe('')
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

test('a line its program did not end is told as such, and nothing is made of nothing', () => {
  expect(read(`${T} stdout P a`, `${T} stdout E `)).toEqual([
    { stream: 'stdout', timestamp: UTC, line: 'a', partial: true },
  ])
  expect(read(`${T} stdout E `)).toEqual([])
})

test('bytes that are no text come out as they were', () => {
  const record = Buffer.concat([Buffer.from(`${T} stdout F `), Buffer.from([0, 0xff, 0xc3, 0x28, 0x0d])])
  const [entry] = new LogAssembler().push(record)
  expect([...(entry?.bytes ?? [])]).toEqual([0, 0xff, 0xc3, 0x28, 0x0d])
})

test('a long line comes in docker’s pieces, all but the last of them partial, and memory holds one piece', () => {
  const assembler = new LogAssembler()
  const push = (tag: string, size: number) =>
    assembler
      .push(Buffer.from(`${T} stdout ${tag} ${'x'.repeat(size)}`))
      .map(({ bytes, partial }) => [bytes.length, partial])
  expect(push('P', 8192)).toEqual([])
  expect(push('P', 8192)).toEqual([])
  expect(push('P', 8192)).toEqual([[PIECE_BYTES, true]])
  expect(push('F', 8192)).toEqual([[PIECE_BYTES, undefined]])
  expect(push('F', 40_000)).toEqual([
    [PIECE_BYTES, true],
    [PIECE_BYTES, true],
    [40_000 - 2 * PIECE_BYTES, undefined],
  ])
})

test('whatever bytes a log has, reading it throws nothing and invents no bytes', () => {
  const head = fc.constantFrom(`${T} stdout F `, `${T} stderr P `, `${T} stdout`, 'x ', '')
  const piece = fc
    .tuple(head, fc.uint8Array({ maxLength: 40 }))
    .map(([text, bytes]) => Buffer.concat([Buffer.from(text), bytes]))
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
      const log = Buffer.concat(pieces.flatMap((bytes) => [bytes, Buffer.from('\n')]))
      const { records, rest } = splitRecords(log)
      expect(records.reduce((sum, record) => sum + record.length + 1, 0) + rest.length).toBe(log.length)
      const assembler = new LogAssembler()
      const entries = records.flatMap((record) => assembler.push(record))
      const given = records.reduce((sum, record) => sum + (parseRecord(record)?.text.length ?? 0), 0)
      expect(entries.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThanOrEqual(given)
    }),
    { numRuns: 50_000 },
  )
})
