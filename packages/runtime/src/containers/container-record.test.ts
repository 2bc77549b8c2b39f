import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseRow } from './container-record.js'

const ID = 'ab'.repeat(32)
const ROW = {
  id: ID,
  spec: { name: 'web', image: 'x', ports: [] },
  imageId: 'sha256:0',
  state: 'running',
  createdAt: 'then',
  restartCount: 0,
  process: { pid: 5, startTime: '1', bootId: 'b' },
  ports: [{ protocol: 'tcp', hostPort: 80, containerPort: 80 }],
  published: true,
}
const text = JSON.stringify(ROW)

test('a whole record is the row', () => expect(parseRow(ID, 'web', text)).toEqual(ROW))

test('a record torn at any byte is told as such', () => {
  for (let length = 0; length < text.length; length++)
    expect(typeof parseRow(ID, 'web', text.slice(0, length))).toBe('string')
})

test.each<[string, object]>([
  ['of another id', { id: 'cd'.repeat(32) }],
  ['of another name', { spec: { ...ROW.spec, name: 'other' } }],
  ['without a spec', { spec: undefined }],
  ['in no state there is', { state: 'toString' }],
  ['with a pid that is none', { process: { ...ROW.process, pid: -1 } }],
  ['with pid 1', { process: { ...ROW.process, pid: 1 } }],
  ['with ports that are none', { ports: [null] }],
  ['with an exit that is none', { exit: 'ok' }],
])('a record %s is refused', (_name, change) => {
  expect(typeof parseRow(ID, 'web', JSON.stringify({ ...ROW, ...change }))).toBe('string')
})

test('whatever stands in the table, it is a row or a reason', () => {
  const keys = fc.constantFrom(...Object.keys(ROW))
  fc.assert(
    fc.property(keys, fc.jsonValue({ maxDepth: 2 }), fc.boolean(), (key, value, isRaw) => {
      const record = isRaw ? JSON.stringify(value) : JSON.stringify({ ...ROW, [key]: value })
      const parsed = parseRow(ID, 'web', record)
      if (typeof parsed !== 'string') expect(parsed.id).toBe(ID)
    }),
    { numRuns: 50_000 },
  )
}, 30_000)
