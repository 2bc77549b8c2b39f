import { Fault, type FaultKind } from '@berth/core'

/** Whom a call was about, in the client's words and by id where it is known. */
export interface Subject {
  /** As it stood in the request. */
  readonly asked: string
  readonly id?: string
  readonly name?: string
  readonly verb?: 'start' | 'stop' | 'kill' | 'pause' | 'unpause' | 'remove' | 'exec' | 'attach'
  /** A path, a signal, an exec. */
  readonly detail?: string
}

type Words = readonly [kind: FaultKind, sentence: string]

const said = new WeakSet<Fault>()

/** A fault of the runtime as docker says it, under the same code: its clients read the sentences. Others stay as they are, and so does what was said already. */
export function inDockersWords(error: unknown, subject: Subject): Fault {
  const failure = Fault.from(error)
  const words = said.has(failure) ? undefined : wordsOf(failure, subject)
  if (!words) return failure
  const [kind, message] = words
  const translated = new Fault({ kind, code: failure.code, message, params: failure.params, cause: failure })
  said.add(translated)
  return translated
}

function wordsOf(failure: Fault, subject: Subject): Words | undefined {
  const id = subject.id ?? subject.asked
  switch (failure.code) {
    case 'container.not_found':
      return ['not_found', `No such container: ${subject.asked}`]
    case 'container.running':
      return [
        'conflict',
        `You cannot remove a running container ${id}. Stop the container before attempting removal or force remove`,
      ]
    case 'container.not_running':
      return ['conflict', notRunning(subject, id)]
    case 'container.paused':
      return ['conflict', paused(subject, id)]
    case 'container.not_paused':
      return ['conflict', `Container ${id} is not paused`]
    case 'container.signal_invalid':
      return ['invalid_argument', `Invalid signal: ${subject.detail ?? ''}`]
    case 'container.start_failed':
      return startFailed(failure.message)
    case 'exec.not_found':
      return ['not_found', `No such exec instance: ${subject.detail ?? subject.asked}`]
    case 'exec.started':
      return ['conflict', `Error: Exec command ${subject.detail ?? subject.asked} has already run`]
    case 'file.not_found':
      return ['not_found', `Could not find the file ${subject.detail ?? ''} in container ${subject.asked}`]
    case 'file.not_a_directory':
      return ['invalid_argument', 'extraction point is not a directory']
    case 'file.read_only':
      return ['permission_denied', 'container rootfs is marked read-only']
    case 'port.in_use':
      return portInUse(failure, subject)
    default:
      return undefined
  }
}

function notRunning({ verb, asked }: Subject, id: string): string {
  const sentence = `Container ${id} is not running`
  return verb === 'kill' ? `Cannot kill container: ${asked}: ${sentence}` : sentence
}

function paused({ verb }: Subject, id: string): string {
  switch (verb) {
    case 'start':
      return 'cannot start a paused container, try unpause instead'
    case 'pause':
      return `Container ${id} is already paused`
    case 'remove':
      return `You cannot remove a paused container ${id}. Unpause and then stop the container before attempting removal or force remove`
    case 'attach':
      return `Container ${id} is paused, unpause the container before attach`
    case 'exec':
      return `Container ${id} is paused, unpause the container before exec`
    default:
      return `Container ${id} is paused. Unpause the container before stopping or killing`
  }
}

const NOT_FOUND = /not found in \$PATH|no such file or directory/i
const NOT_ALLOWED = /permission denied|is a directory/i

/**
 * docker's CLI makes exit code 127 of "no such file or directory" and 126 of "permission denied" in this text, in small letters, which crun
 * writes in large ones.
 */
export function startFailed(message: string): Words {
  const text = `failed to create task for container: failed to create shim task: OCI runtime create failed: ${message}`
  if (NOT_FOUND.test(message)) {
    const isSaid = /executable file not found|no such file or directory/.test(message)
    return ['invalid_argument', `${text}${isSaid ? '' : ': no such file or directory'}: unknown`]
  }
  if (NOT_ALLOWED.test(message)) {
    const isSaid = /permission denied|is a directory/.test(message)
    return ['invalid_argument', `${text}${isSaid ? '' : ': permission denied'}: unknown`]
  }
  return ['internal', `${text}: unknown`]
}

function portInUse({ message, params }: Fault, { name }: Subject): Words {
  const port = params.port ?? params.hostPort ?? /\b(\d{1,5})\b/.exec(message)?.[1] ?? ''
  return [
    'internal',
    `driver failed programming external connectivity on endpoint ${name ?? ''}: Bind for ${params.hostIp ?? '0.0.0.0'}:${port} failed: port is already allocated`,
  ]
}
