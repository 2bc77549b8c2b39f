import { assertNever, type Fault, type FaultKind } from '@berth/core'
import type { Problem } from '@berth/domain'

/** kind → HTTP status; codes that have a status of their own come first. */
const BY_CODE: Readonly<Record<string, number>> = {
  'precondition.required': 428,
  'precondition.failed': 412,
  'auth.rate_limited': 429,
}

export function httpStatus(kind: FaultKind): number {
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
      return 409
    case 'resource_exhausted':
      return 429
    case 'unimplemented':
      return 501
    case 'unavailable':
      return 503
    case 'deadline_exceeded':
      return 504
    case 'cancelled':
      return 499
    case 'data_loss':
    case 'internal':
      return 500
    default:
      return assertNever(kind, 'fault kind')
  }
}

/** RFC 9457. An internal fault says nothing of itself but the request's id. */
export function problemOf(failure: Fault, requestId: string, errors?: Problem['errors']): Problem {
  const status = BY_CODE[failure.code] ?? httpStatus(failure.kind)
  return {
    type: `urn:berth:problem:${failure.code}`,
    title: failure.code,
    status,
    detail: failure.publicMessage,
    code: failure.code,
    params: { ...failure.params },
    requestId,
    retryable: failure.retryable,
    ...(errors ? { errors } : {}),
  }
}
