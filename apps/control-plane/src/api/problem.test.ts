import { FAULT_KINDS, Fault, fault } from '@berth/core'
import { problemSchema } from '@berth/domain'
import { expect, test } from 'vitest'
import { httpStatus, problemOf } from './problem.js'

test('every kind of fault is an error of HTTP, ours only when it is ours', () => {
  for (const kind of FAULT_KINDS) {
    expect(httpStatus(kind)).toBeGreaterThanOrEqual(400)
    expect(httpStatus(kind)).toBeLessThan(600)
  }
  expect(FAULT_KINDS.filter((kind) => httpStatus(kind) >= 500)).toEqual([
    'unavailable',
    'deadline_exceeded',
    'unimplemented',
    'data_loss',
    'internal',
  ])
})

test.each([
  ['precondition.required', fault.failedPrecondition, 428],
  ['precondition.failed', fault.conflict, 412],
  ['auth.rate_limited', fault.resourceExhausted, 429],
  ['service.name_taken', fault.alreadyExists, 409],
  ['service.not_found', fault.notFound, 404],
  ['spec.invalid', fault.invalidArgument, 400],
  ['auth.required', fault.unauthenticated, 401],
  ['auth.csrf', fault.permissionDenied, 403],
  ['store.unavailable', fault.unavailable, 503],
] as const)('%s is answered with its status', (code, make, status) => {
  expect(problemOf(make(code, 'x'), 'r').status).toBe(status)
})

test('a problem has the shape clients are promised', () => {
  const failure = fault.alreadyExists('port.taken', 'port 80 is taken', {
    params: { port: 80, service: 'web' },
  })
  const problem = problemOf(failure, 'req-1', [{ pointer: '/ports/0', message: 'taken' }])
  expect(problemSchema.parse(problem)).toEqual(problem)
  expect(problem).toMatchObject({
    code: 'port.taken',
    params: { port: 80, service: 'web' },
    requestId: 'req-1',
    errors: [{ pointer: '/ports/0', message: 'taken' }],
  })
})

test('an unexpected error tells the outside nothing but the request’s id', () => {
  const text = JSON.stringify(problemOf(Fault.from(new Error('relation "task" does not exist')), 'req-9'))
  expect(text).not.toContain('relation')
  expect(text).toContain('req-9')
})
