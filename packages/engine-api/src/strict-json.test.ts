import { Fault } from '@berth/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { writeJsonText } from './json-answer.js'
import { parseStrictJson } from './strict-json.js'

const parse = (text: string) => parseStrictJson(Buffer.from(text))

test.each([
  ['1', 1],
  ['9007199254740991', 9007199254740991],
  ['9007199254740993', 9007199254740993n],
  ['-9223372036854775808', -9223372036854775808n],
  ['1.5', 1.5],
  ['1e3', 1000],
  ['{"a":[null,true,"x"]}', { a: [null, true, 'x'] }],
])('%s is exactly %s', (text, value) => {
  expect(parse(text)).toEqual(value)
  expect(parse(writeJsonText(value))).toEqual(value)
})

test.each([
  '1e400',
  '-1e400',
  'NaN',
  'Infinity',
  '',
  '{} {}',
  '{"a":1,}',
  "{'a':1}",
  '01',
  '[1',
  '\ufeff{}',
  '"\u0001"',
])('%j is refused', (text) => {
  expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'engine.body_invalid' }))
})

test('nesting beyond 128 is refused whatever its length, brackets in strings do not count', () => {
  expect(() => parse('['.repeat(2_000_000))).toThrow('nested too deeply')
  expect(() => parse(`${'{"a":'.repeat(200)}1${'}'.repeat(200)}`)).toThrow('nested too deeply')
  expect(parse(JSON.stringify('[{"\\'.repeat(1000)))).toHaveLength(4000)
  expect(parse(`${'['.repeat(128)}${']'.repeat(128)}`)).toBeDefined()
})

test('bytes that are not UTF-8 are refused', () => {
  expect(() => parseStrictJson(Uint8Array.of(0x22, 0xff, 0x22))).toThrow('UTF-8')
})

test('__proto__ is a key like any other and changes no object', () => {
  const value = parse('{"__proto__":{"polluted":true}}') as object
  expect(Object.hasOwn(value, '__proto__')).toBe(true)
  expect(Reflect.get({}, 'polluted')).toBeUndefined()
})

test('what JSON.parse takes and is exact comes out the same', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), (text) => {
      fc.pre(!/\d{16}/.test(text))
      expect(parse(text)).toEqual(JSON.parse(text))
    }),
    { numRuns: 2_000 },
  )
})

test('any bytes are a value or one fault: never another error', () => {
  const near = fc.string({
    unit: fc.constantFrom('{', '}', '[', ']', '"', ':', ',', '1', '-', 'e', '.', '\\', 'u', 't', ' '),
  })
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 20 }),
        near.map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        try {
          parseStrictJson(bytes)
        } catch (error) {
          if (!Fault.is(error, 'engine.body_invalid')) throw error
        }
      },
    ),
    { numRuns: 50_000 },
  )
}, 60_000)
