import { FAULT_KINDS, Fault, fault } from '@berth/core'
import { status } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { grpcStatus } from '../grpc/grpc-status.js'
import { grpcFault } from './grpc-fault.js'

test.each(FAULT_KINDS)(
  'a fault of kind %s goes over the wire and comes back with kind, code and message',
  (kind) => {
    const sent = new Fault({ kind, code: 'node.name_taken', message: 'm', publicMessage: 'two\nlines: here' })
    const { code, details } = grpcStatus(sent)
    expect(grpcFault({ code, details, message: `${code} ${details}` })).toMatchObject({
      kind,
      code: 'node.name_taken',
      message: 'two\nlines: here',
    })
  },
)

test('what is internal goes out without its message', () => {
  expect(grpcStatus(fault.internal('store.failed', 'password hunter2')).details).not.toContain('hunter2')
})

test('a status without one of our codes is a control plane that cannot be reached, and says what gRPC said', () => {
  const failure = grpcFault({ code: status.UNAVAILABLE, details: 'No connection established', message: 'x' })
  expect(failure).toMatchObject({
    kind: 'unavailable',
    code: 'control_plane.unreachable',
    retryable: true,
    message: expect.stringContaining('No connection established'),
  })
})

test.each([undefined, status.UNKNOWN, status.OUT_OF_RANGE, 999])('status %s is internal', (code) => {
  expect(grpcFault({ ...(code === undefined ? {} : { code }), message: 'boom' }).kind).toBe('internal')
})
