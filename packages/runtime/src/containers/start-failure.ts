import { Fault, fault } from '@berth/core'

const NOT_FOUND = 127
const NOT_EXECUTABLE = 126
/** docker's code for a start that failed for any other reason. */
const OTHER = 128

/**
 * An OCI runtime's refusal to run the program, with the exit code a shell would give (126, 127) and docker's words, which its clients look
 * for. Undefined when the program is not the reason.
 */
export function programFailure(
  message: string,
  program: string,
): { readonly exitCode: number; readonly why: string } | undefined {
  if (!/\bexec(utable)?\b/i.test(message)) return undefined
  const subject = `exec: ${JSON.stringify(program)}`
  const failed = (exitCode: number, why: string) => ({ exitCode, why: `${subject}: ${why}` })
  if (/not found|no such file or directory/i.test(message))
    return failed(
      NOT_FOUND,
      program.includes('/')
        ? `stat ${program}: no such file or directory`
        : 'executable file not found in $PATH',
    )
  // crun's open of a directory says that the operation is not permitted.
  if (/is a directory|operation not permitted/i.test(message))
    return failed(NOT_EXECUTABLE, 'is a directory: permission denied')
  if (/permission denied/i.test(message)) return failed(NOT_EXECUTABLE, 'permission denied')
  if (/exec format error/i.test(message)) return failed(NOT_EXECUTABLE, 'exec format error')
  return undefined
}

/** What a failed start is told as: `container.start_failed` with `params.exitCode` where the program is the reason, else as it was. */
export function startFault(error: unknown, name: string, program: string): Fault {
  const failure = Fault.from(error)
  if (failure.code !== 'container.create_failed' && failure.code !== 'container.start_failed') return failure
  const found = programFailure(failure.message, program)
  if (!found) return failure
  return fault.failedPrecondition(
    'container.start_failed',
    `container ${name} could not be started: ${found.why}`,
    {
      cause: failure,
      params: { exitCode: found.exitCode },
    },
  )
}

/** The code such a container has ended with, as docker counts. */
export const startExitCode = ({ params }: Fault): number =>
  typeof params.exitCode === 'number' ? params.exitCode : OTHER
