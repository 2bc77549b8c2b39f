import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { problemSchema } from './problem.js'
import {
  createTokenSchema,
  listQuerySchema,
  listTasksQuerySchema,
  loginSchema,
  logsQuerySchema,
  scaleSchema,
  updateNodeSchema,
} from './requests.js'

describe('defaults', () => {
  test.each<[string, z.ZodType, unknown, unknown]>([
    ['a token lives 90 days', createTokenSchema, { name: 'ci' }, { name: 'ci', expiresInDays: 90 }],
    ['a list has 100 items', listQuerySchema, {}, { limit: 100 }],
    ['tasks include old ones', listTasksQuerySchema, {}, { limit: 100, current: false }],
    ['logs give 200 lines', logsQuerySchema, {}, { tail: 200 }],
  ])('%s', (_name, schema, input, output) => expect(schema.parse(input)).toEqual(output))
})

describe('query texts become values', () => {
  test.each([
    ['true', true],
    ['1', true],
    ['false', false],
    ['0', false],
  ])('current=%s is %s', (text, value) =>
    expect(listTasksQuerySchema.parse({ current: text }).current).toBe(value),
  )
  test('limit=5 is a number', () => expect(listQuerySchema.parse({ limit: '5' }).limit).toBe(5))
})

describe('refused', () => {
  test.each<[string, z.ZodType, unknown]>([
    ['an empty name', loginSchema, { name: '', password: 'x' }],
    ['an empty password', loginSchema, { name: 'admin', password: '' }],
    ['a password too long to hash', loginSchema, { name: 'admin', password: 'x'.repeat(1025) }],
    ['more than login asks for', loginSchema, { name: 'admin', password: 'x', role: 'admin' }],
    ['no replicas at all', scaleSchema, {}],
    ['replicas as text', scaleSchema, { replicas: '3' }],
    ['negative replicas', scaleSchema, { replicas: -1 }],
    ['infinitely many', scaleSchema, { replicas: Number.POSITIVE_INFINITY }],
    ['a token for ever', createTokenSchema, { name: 'x', expiresInDays: 366 }],
    ['a token for nothing', createTokenSchema, { name: 'x', expiresInDays: 0 }],
    ['a page of nothing', listQuerySchema, { limit: '0' }],
    ['a page of everything', listQuerySchema, { limit: '501' }],
    ['a limit that is no number', listQuerySchema, { limit: 'all' }],
    ['an unknown filter', listTasksQuerySchema, { services: 'web' }],
    ['an unknown state', listTasksQuerySchema, { state: 'dead' }],
    ['current=maybe', listTasksQuerySchema, { current: 'maybe' }],
    ['a negative tail', logsQuerySchema, { tail: '-1' }],
    ['since yesterday', logsQuerySchema, { since: 'yesterday' }],
    ['a node that is elsewhere', updateNodeSchema, { availability: 'gone' }],
    ['a label that is no text', updateNodeSchema, { labels: { zone: 1 } }],
  ])('%s', (_name, schema, input) => expect(schema.safeParse(input).success).toBe(false))
})

test('a problem always has a code, a status and a request id', () => {
  const problem = {
    type: 'urn:berth:problem:x',
    title: 'x',
    status: 400,
    detail: 'd',
    code: 'x',
    params: {},
    requestId: 'r',
    retryable: false,
  }
  expect(problemSchema.parse(problem)).toEqual(problem)
  for (const key of ['code', 'status', 'requestId', 'params', 'retryable'])
    expect(problemSchema.safeParse({ ...problem, [key]: undefined }).success).toBe(false)
})
