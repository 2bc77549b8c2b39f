import { FAULT_KINDS, Fault, fault } from '@berth/core'
import { status } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { grpcError, grpcStatus } from './grpc-fault.js'

test('every kind has a status of its own, and none is OK or UNKNOWN', () => {
  const statuses = FAULT_KINDS.map(grpcStatus)
  expect(new Set(statuses).size).toBe(FAULT_KINDS.length)
  expect(statuses).not.toContain(status.OK)
  expect(statuses).not.toContain(status.UNKNOWN)
})

test('the code stands at the head of the details, and the inside of an internal fault does not leave', () => {
  expect(grpcError(fault.notFound('session.unknown', 'open a new one'))).toEqual({
    code: status.NOT_FOUND,
    details: 'session.unknown: open a new one',
  })
  expect(grpcError(Fault.from(new Error('password=hunter2'))).details).not.toContain('hunter2')
})
