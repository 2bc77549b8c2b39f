import { Fault } from '@berth/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Filters } from './filters.js'

const KNOWN = ['label', 'label!', 'status', 'dangling']
const parse = (text: string | undefined) => Filters.parse(text, KNOWN)

test('lists and sets mean the same', () => {
  const list = parse('{"status":["exited","created"],"label":["a=b"]}')
  const set = parse('{"status":{"exited":true,"created":true,"dead":false},"label":{"a=b":true}}')
  for (const filters of [list, set]) {
    expect(filters.get('status')).toEqual(['exited', 'created'])
    expect(filters.get('label')).toEqual(['a=b'])
  }
})

test.each([undefined, '', '{}', 'null_'])('%j narrows nothing or is refused', (text) => {
  if (text === 'null_') expect(() => parse('null')).toThrow()
  else expect(parse(text).allows('status', 'whatever')).toBe(true)
})

test('values of one filter are alternatives; an empty list narrows nothing', () => {
  expect(parse('{"status":["exited","created"]}').allows('status', 'created')).toBe(true)
  expect(parse('{"status":["exited"]}').allows('status', 'running')).toBe(false)
  expect(parse('{"status":[]}').allows('status', 'running')).toBe(true)
})

test.each([
  ['{"label":["a"]}', { a: '' }, true],
  ['{"label":["a"]}', { b: '' }, false],
  ['{"label":["a=1","b"]}', { a: '1', b: 'x' }, true],
  ['{"label":["a=1","b"]}', { a: '1' }, false],
  ['{"label":["a=1=2"]}', { a: '1=2' }, true],
  ['{"label!":["a=1"]}', { a: '1' }, false],
  ['{"label!":["a=1"]}', { a: '2' }, true],
  ['{"label":["toString"]}', {}, false],
  ['{"label":["__proto__"]}', {}, false],
])('labels %s on %j: %s', (text, labels, fits) => {
  expect(parse(text).allowsLabels(labels)).toBe(fits)
})

test('an unknown filter is refused in docker’s words', () => {
  expect(() => parse('{"colour":["red"]}')).toThrow("invalid filter 'colour'")
  expect(() => parse('{"__proto__":["red"]}')).toThrow("invalid filter '__proto__'")
})

test.each(['[]', '1', '"a"', '{', '{"label":1}', '{"label":[1]}', '{"label":{"a":"b"}}', '{"label":null}'])(
  '%s is refused',
  (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'engine.filter_invalid' }))
  },
)

test('a yes or no is read in Go’s spellings, and two different ones are refused', () => {
  expect(parse('{"dangling":["true"]}').bool('dangling')).toBe(true)
  expect(parse('{"dangling":{"0":true}}').bool('dangling')).toBe(false)
  expect(parse('{}').bool('dangling')).toBeUndefined()
  for (const text of ['{"dangling":["1","0"]}', '{"dangling":["perhaps"]}'])
    expect(() => parse(text).bool('dangling')).toThrow(
      expect.objectContaining({ code: 'engine.filter_invalid' }),
    )
})

test('any text is filters or one fault: never another error', () => {
  const known = fc.constantFrom(...KNOWN)
  const value = fc.oneof(
    fc.string(),
    fc.boolean(),
    fc.integer(),
    fc.constant(null),
    fc.array(fc.string(), { maxLength: 2 }),
  )
  const near = fc.dictionary(
    fc.oneof(known, fc.string({ maxLength: 3 })),
    fc.oneof(value, fc.dictionary(fc.string({ maxLength: 3 }), value, { maxKeys: 2 })),
    { maxKeys: 2 },
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        near.map((given) => JSON.stringify(given)),
      ),
      (text) => {
        try {
          parse(text).allowsLabels({ a: 'b' })
        } catch (error) {
          if (!Fault.is(error, 'engine.filter_invalid')) throw error
        }
      },
    ),
    { numRuns: 50_000 },
  )
}, 60_000)
