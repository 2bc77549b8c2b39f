import { scaleSchema, serviceSpecSchema } from '@berth/domain'
import { describe, expect, test } from 'vitest'
import { parseInput, parseName, ValidationFault } from './parse-body.js'

function refusal(work: () => unknown): ValidationFault {
  try {
    work()
  } catch (error) {
    if (error instanceof ValidationFault) return error
    throw error
  }
  throw new Error('it was accepted')
}

test('what is valid comes back with its defaults', () => {
  expect(parseInput(scaleSchema, { replicas: 3 })).toEqual({ replicas: 3 })
})

test('every mistake has its pointer and the first is said in words', () => {
  const failure = refusal(() =>
    parseInput(
      serviceSpecSchema,
      { name: 'web', replicas: -1, task: { image: 'x' }, ports: [{ targetPort: 0, publishedPort: 80 }] },
      'spec.invalid',
    ),
  )
  expect(failure).toMatchObject({ kind: 'invalid_argument', code: 'spec.invalid' })
  expect(failure.errors.map((error) => error.pointer)).toEqual(['/replicas', '/ports/0/targetPort'])
  expect(failure.message).toMatch(/^replicas: \S/)
})

test('an unknown key is named', () => {
  const failure = refusal(() =>
    parseInput(serviceSpecSchema, { name: 'web', task: { image: 'x', privileged: true } }),
  )
  expect(failure.errors).toEqual([
    { pointer: '/task', message: 'unknown key "privileged": remove it or correct its spelling' },
  ])
})

test('a key that holds a slash or a tilde keeps its pointer readable (RFC 6901)', () => {
  const failure = refusal(() =>
    parseInput(serviceSpecSchema, { name: 'web', task: { image: 'x', labels: { 'a/b~c': 1 } } }),
  )
  expect(failure.errors.map((error) => error.pointer)).toEqual(['/task/labels/a~1b~0c'])
})

test.each([undefined, null, 'text', 3, []])('%j instead of a body is refused as a whole', (body) => {
  const failure = refusal(() => parseInput(scaleSchema, body))
  expect(failure.code).toBe('request.invalid')
  expect(failure.message).toMatch(/^the request: /)
})

describe('names in paths', () => {
  test('a good one is given back', () => expect(parseName('service', 'web-1')).toBe('web-1'))
  test.each(['', '..', '../x', 'a/b', '%2e%2e', 'a b', 'x'.repeat(64), "'; DROP TABLE task"])(
    '%j is refused',
    (name) =>
      expect(() => parseName('service', name)).toThrow(expect.objectContaining({ code: 'request.invalid' })),
  )
})
