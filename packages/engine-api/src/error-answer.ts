import { assertNever, type Fault, type FaultKind } from '@berth/core'

/** docker's status for each way of failing. */
export function statusOf(kind: FaultKind): number {
  switch (kind) {
    case 'invalid_argument':
      return 400
    case 'unauthenticated':
      return 401
    case 'permission_denied':
      return 403
    case 'not_found':
      return 404
    case 'already_exists':
    case 'conflict':
    case 'failed_precondition':
    case 'resource_exhausted':
      return 409
    case 'unimplemented':
      return 501
    case 'unavailable':
      return 503
    case 'deadline_exceeded':
    case 'cancelled':
    case 'data_loss':
    case 'internal':
      return 500
    default:
      return assertNever(kind, 'fault kind')
  }
}

/** Who may open the socket is root by another name, so that even an internal failure is told in full. */
export const errorBody = (failure: Fault): { readonly message: string } => ({ message: failure.message })
