import { Fault, type FaultKind } from '@berth/core'
import { status } from '@grpc/grpc-js'

const KINDS: Readonly<Partial<Record<status, FaultKind>>> = {
  [status.CANCELLED]: 'cancelled',
  [status.INVALID_ARGUMENT]: 'invalid_argument',
  [status.DEADLINE_EXCEEDED]: 'deadline_exceeded',
  [status.NOT_FOUND]: 'not_found',
  [status.ALREADY_EXISTS]: 'already_exists',
  [status.PERMISSION_DENIED]: 'permission_denied',
  [status.RESOURCE_EXHAUSTED]: 'resource_exhausted',
  [status.FAILED_PRECONDITION]: 'failed_precondition',
  [status.ABORTED]: 'conflict',
  [status.UNIMPLEMENTED]: 'unimplemented',
  [status.INTERNAL]: 'internal',
  [status.UNAVAILABLE]: 'unavailable',
  [status.DATA_LOSS]: 'data_loss',
  [status.UNAUTHENTICATED]: 'unauthenticated',
}

/** A call's error as the Fault the control plane meant: the details start with its code ("node.not_found: node … was removed"). */
export function grpcFault(error: {
  readonly code?: number
  readonly details?: string
  readonly message: string
}): Fault {
  const details = error.details ?? error.message
  const [, code, message] = /^([a-z_]+(?:\.[a-z_]+)+): ([\s\S]+)$/.exec(details) ?? []
  const kind = KINDS[(error.code ?? status.UNKNOWN) as status] ?? 'internal'
  return new Fault({
    kind,
    code: code ?? 'control_plane.unreachable',
    message: message ?? `the control plane cannot be reached: ${details}`,
    cause: error,
  })
}
