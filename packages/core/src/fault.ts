/**
 * The closed set of ways anything in Berth can fail. It mirrors gRPC's status codes so that the three
 * edges (HTTP, gRPC, browser) translate by an exhaustive switch.
 */
export const FAULT_KINDS = [
  'invalid_argument',
  'not_found',
  'already_exists',
  'failed_precondition',
  'conflict',
  'permission_denied',
  'unauthenticated',
  'resource_exhausted',
  'unavailable',
  'deadline_exceeded',
  'cancelled',
  'unimplemented',
  'data_loss',
  'internal',
] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

const RETRYABLE_BY_DEFAULT: ReadonlySet<FaultKind> = new Set(['unavailable', 'deadline_exceeded', 'conflict'])

export type FaultParams = Readonly<Record<string, string | number | boolean>>

export interface FaultOptions {
  readonly kind: FaultKind
  /** Stable dotted literal, e.g. `image.pull.manifest_unknown`; listed in docs/failure-modes.md. */
  readonly code: string
  /** Lower case, no full stop, names the subject and its id, and the fix where there is one. */
  readonly message: string
  /** What a user may read; defaults to `message`, except for kind `internal`. */
  readonly publicMessage?: string
  /** Values that a translated message is built from; never secrets. */
  readonly params?: FaultParams
  /** Overrides the kind's default. */
  readonly retryable?: boolean
  readonly retryAfterMs?: number
  readonly cause?: unknown
}

/** The one error class. Callers branch on `kind` and `code`, never on text. */
export class Fault extends Error {
  override readonly name = 'Fault'
  readonly kind: FaultKind
  readonly code: string
  readonly publicMessage: string
  readonly params: FaultParams
  readonly retryable: boolean
  readonly retryAfterMs: number | undefined

  constructor(options: FaultOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause })
    this.kind = options.kind
    this.code = options.code
    this.publicMessage =
      options.publicMessage ??
      (options.kind === 'internal' ? 'something went wrong inside Berth' : options.message)
    this.params = options.params ?? {}
    this.retryable = options.retryable ?? RETRYABLE_BY_DEFAULT.has(options.kind)
    this.retryAfterMs = options.retryAfterMs
  }

  static is(value: unknown, codeOrKind?: string): value is Fault {
    if (!(value instanceof Fault)) return false
    return codeOrKind === undefined || value.code === codeOrKind || value.kind === codeOrKind
  }

  /** Any thrown value as a Fault; an unknown error becomes `internal` and keeps its cause. */
  static from(value: unknown, code = 'internal.unexpected'): Fault {
    if (value instanceof Fault) return value
    if (value instanceof Error && value.name === 'AbortError') {
      return new Fault({
        kind: 'cancelled',
        code: 'cancelled',
        message: 'the operation was cancelled',
        cause: value,
      })
    }
    const message = value instanceof Error ? value.message : String(value)
    return new Fault({ kind: 'internal', code, message, cause: value })
  }
}

type Shorthand = Omit<FaultOptions, 'kind' | 'code' | 'message'>
const make =
  (kind: FaultKind) =>
  (code: string, message: string, rest: Shorthand = {}): Fault =>
    new Fault({ ...rest, kind, code, message })

/** `fault.notFound('service.not_found', 'service web does not exist')`: one constructor per kind. */
export const fault = {
  invalidArgument: make('invalid_argument'),
  notFound: make('not_found'),
  alreadyExists: make('already_exists'),
  failedPrecondition: make('failed_precondition'),
  conflict: make('conflict'),
  permissionDenied: make('permission_denied'),
  unauthenticated: make('unauthenticated'),
  resourceExhausted: make('resource_exhausted'),
  unavailable: make('unavailable'),
  deadlineExceeded: make('deadline_exceeded'),
  cancelled: make('cancelled'),
  unimplemented: make('unimplemented'),
  dataLoss: make('data_loss'),
  internal: make('internal'),
} as const
