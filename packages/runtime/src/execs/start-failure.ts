import { type Fault, fault } from '@berth/core'

const NOT_FOUND = 127
const NOT_EXECUTABLE = 126

/** Why an OCI runtime could not start a program, in docker's words and with a shell's exit code. */
export function startFailure(program: string, said: string): Fault {
  const why = lastWords(said)
  const { exitCode, reason } = explain(program, why)
  const message = `OCI runtime exec failed: exec failed: unable to start container process: ${reason}: unknown`
  return fault.invalidArgument('exec.start_failed', message, { params: { exitCode } })
}

function explain(program: string, why: string): { readonly exitCode: number; readonly reason: string } {
  const named = `exec: ${JSON.stringify(program.slice(0, 200))}`
  if (/chdir|cwd/i.test(why)) return { exitCode: NOT_EXECUTABLE, reason: why }
  if (/no such file or directory|not found/i.test(why))
    return {
      exitCode: NOT_FOUND,
      reason: program.includes('/')
        ? `${named}: stat ${program.slice(0, 200)}: no such file or directory`
        : `${named}: executable file not found in $PATH`,
    }
  if (/permission denied/i.test(why))
    return { exitCode: NOT_EXECUTABLE, reason: `${named}: permission denied` }
  return { exitCode: NOT_EXECUTABLE, reason: `${named}: ${why || 'the OCI runtime gave no reason'}` }
}

/** The last line, without the time crun puts before it. */
const lastWords = (said: string): string =>
  (said.trim().split('\n').at(-1) ?? '').replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z?:?\s*/, '').slice(0, 500)
