import { assertNever, type Fault, type FaultKind } from '@berth/core'
import { status } from '@grpc/grpc-js'

/** The gRPC edge: kind → status; the code travels in the message's head so that agents can branch on it. */
export function grpcStatus(kind: FaultKind): status {
  switch (kind) {
    case 'invalid_argument':
      return status.INVALID_ARGUMENT
    case 'not_found':
      return status.NOT_FOUND
    case 'already_exists':
      return status.ALREADY_EXISTS
    case 'failed_precondition':
      return status.FAILED_PRECONDITION
    case 'conflict':
      return status.ABORTED
    case 'permission_denied':
      return status.PERMISSION_DENIED
    case 'unauthenticated':
      return status.UNAUTHENTICATED
    case 'resource_exhausted':
      return status.RESOURCE_EXHAUSTED
    case 'unavailable':
      return status.UNAVAILABLE
    case 'deadline_exceeded':
      return status.DEADLINE_EXCEEDED
    case 'cancelled':
      return status.CANCELLED
    case 'unimplemented':
      return status.UNIMPLEMENTED
    case 'data_loss':
      return status.DATA_LOSS
    case 'internal':
      return status.INTERNAL
    default:
      return assertNever(kind, 'fault kind')
  }
}

export const grpcError = (failure: Fault): { code: status; details: string } => ({
  code: grpcStatus(failure.kind),
  details: `${failure.code}: ${failure.publicMessage}`,
})
