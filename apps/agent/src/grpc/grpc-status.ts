import type { Fault, FaultKind } from '@berth/core'
import { status } from '@grpc/grpc-js'

/** Every kind has a status: a new kind fails to compile here. */
const STATUS: Readonly<Record<FaultKind, status>> = {
  invalid_argument: status.INVALID_ARGUMENT,
  not_found: status.NOT_FOUND,
  already_exists: status.ALREADY_EXISTS,
  failed_precondition: status.FAILED_PRECONDITION,
  conflict: status.ABORTED,
  permission_denied: status.PERMISSION_DENIED,
  unauthenticated: status.UNAUTHENTICATED,
  resource_exhausted: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  deadline_exceeded: status.DEADLINE_EXCEEDED,
  cancelled: status.CANCELLED,
  unimplemented: status.UNIMPLEMENTED,
  data_loss: status.DATA_LOSS,
  internal: status.INTERNAL,
}

/** The gRPC edge; the fault's code travels at the head of the details. */
export const grpcStatus = (failure: Fault): { readonly code: status; readonly details: string } => ({
  code: STATUS[failure.kind],
  details: `${failure.code}: ${failure.publicMessage}`,
})
