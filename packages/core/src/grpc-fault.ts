import { Fault, type FaultKind } from './fault.js'

/** gRPC's status numbers: FAULT_KINDS mirror them, and both ends of every connection translate by this one table. */
const STATUS: Readonly<Record<FaultKind, number>> = {
  cancelled: 1,
  invalid_argument: 3,
  deadline_exceeded: 4,
  not_found: 5,
  already_exists: 6,
  permission_denied: 7,
  resource_exhausted: 8,
  failed_precondition: 9,
  conflict: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  data_loss: 15,
  unauthenticated: 16,
}
const KIND = new Map(Object.entries(STATUS).map(([kind, code]) => [code, kind as FaultKind]))

/** What a gRPC server answers for a fault: its code travels at the head of the details. The inside of an internal fault stays here. */
export const faultToGrpc = (failure: Fault): { readonly code: number; readonly details: string } => ({
  code: STATUS[failure.kind],
  details: `${failure.code}: ${failure.publicMessage}`,
})

interface GrpcError {
  readonly code?: number
  readonly details?: string
  readonly message: string
}

/**
 * The fault the other end meant ("node.not_found: node … was removed"). A status without one of our codes came from gRPC itself and becomes
 * `fallbackCode`, with what gRPC said after `fallbackText`.
 */
export function faultFromGrpc(error: GrpcError, fallbackCode: string, fallbackText: string): Fault {
  const details = error.details ?? error.message
  const [, code, message] = /^([a-z_]+(?:\.[a-z_]+)+): ([\s\S]+)$/.exec(details) ?? []
  return new Fault({
    kind: KIND.get(error.code ?? -1) ?? 'internal',
    code: code ?? fallbackCode,
    message: message ?? `${fallbackText}: ${details}`,
    cause: error,
  })
}
