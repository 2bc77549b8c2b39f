import { expect, test } from 'vitest'
import { FAULT_KINDS, Fault, fault } from './fault.js'
import { faultFromGrpc, faultToGrpc } from './grpc-fault.js'

const received = (error: { code?: number; details?: string; message: string }) =>
  faultFromGrpc(error, 'control_plane.unreachable', 'the control plane cannot be reached')

test.each(FAULT_KINDS)(
  'a fault of kind %s goes over the wire and comes back with kind, code and message',
  (kind) => {
    const sent = new Fault({ kind, code: 'node.name_taken', message: 'm', publicMessage: 'two\nlines: here' })
    const { code, details } = faultToGrpc(sent)
    expect(received({ code, details, message: `${code} ${details}` })).toMatchObject({
      kind,
      code: 'node.name_taken',
      message: 'two\nlines: here',
    })
  },
)

test('every kind has a status of its own, and none is OK or UNKNOWN', () => {
  const statuses = FAULT_KINDS.map((kind) => faultToGrpc(new Fault({ kind, code: 'a.b', message: 'm' })).code)
  expect(new Set(statuses).size).toBe(FAULT_KINDS.length)
  expect(statuses).not.toContain(0)
  expect(statuses).not.toContain(2)
})

test('what is internal goes out without its message', () => {
  expect(faultToGrpc(fault.internal('store.failed', 'password hunter2')).details).not.toContain('hunter2')
})

test('a status without one of our codes says what gRPC said, under the code of the caller', () => {
  expect(received({ code: 14, details: 'No connection established', message: 'x' })).toMatchObject({
    kind: 'unavailable',
    code: 'control_plane.unreachable',
    retryable: true,
    message: 'the control plane cannot be reached: No connection established',
  })
})

test.each([undefined, 2, 11, 999])('status %s is internal', (code) => {
  expect(received({ ...(code === undefined ? {} : { code }), message: 'boom' }).kind).toBe('internal')
})
