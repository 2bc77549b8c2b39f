import { fault } from '@berth/core'
import { expect, test } from 'vitest'
import { inRegistryWords } from './registry-words.js'

test.each([
  [
    fault.notFound('image.not_found', 'no such tag'),
    'not_found',
    /^manifest for web:1 not found: manifest unknown/,
  ],
  [fault.unauthenticated('registry.unauthorized', 'log in'), 'internal', /^unauthorized: log in/],
  [
    fault.unavailable('registry.unreachable', 'connect ECONNREFUSED 127.0.0.1:9'),
    'internal',
    /connection refused$/,
  ],
  [fault.dataLoss('image.digest_mismatch', 'other bytes'), 'data_loss', /^other bytes$/],
])('%s is told as docker tells it, under its own code', (given, kind, message) => {
  const told = inRegistryWords(given, 'docker.io/library/web:1')
  expect(told).toMatchObject({ code: given.code, kind })
  expect(told.message).toMatch(message)
})
