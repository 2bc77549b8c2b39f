import { heredocStart, isFileName } from '../dockerfile/heredoc.js'
import type { RunInstruction } from '../dockerfile/instruction.js'
import type { RunOperation } from './graph.js'

/** Why a RUN is refused; the caller knows where. */
export class RunError extends Error {}

/** The program of a RUN, and the documents that are programs themselves. @throws RunError */
export function runProgram(
  { command, heredocs }: RunInstruction,
  shell: readonly string[],
): Pick<RunOperation, 'argv' | 'heredocs'> {
  if (command.form === 'exec') {
    if (heredocs.length > 0) throw new RunError('a heredoc needs the shell form of RUN')
    return { argv: command.argv, heredocs: [] }
  }
  const [first] = heredocs
  if (first === undefined) return { argv: [...shell, command.line], heredocs: [] }
  if (heredocStart(command.line) === undefined) {
    const whole = heredocs.reduce((text, { name, text: body }) => `${text}\n${body}${name}`, command.line)
    return { argv: [...shell, whole], heredocs: [] }
  }
  if (!isFileName(first.name))
    throw new RunError(`the heredoc ${JSON.stringify(first.name)} cannot be a file's name`)
  if (!first.text.startsWith('#!')) return { argv: [...shell, first.text], heredocs: [] }
  return { argv: [`/dev/pipes/${first.name}`], heredocs: [{ name: first.name, text: first.text }] }
}

export function runNetwork(
  text: string | undefined,
  fallback: RunOperation['network'],
): RunOperation['network'] {
  if (text === undefined) return fallback
  if (text === 'default' || text === 'none' || text === 'host') return text
  throw new RunError(`unsupported network mode ${JSON.stringify(text)}: use default, none or host`)
}

export function isInsecure(text: string | undefined): boolean {
  if (text === undefined || text === 'sandbox') return false
  if (text === 'insecure') return true
  throw new RunError(`unsupported security mode ${JSON.stringify(text)}: use sandbox or insecure`)
}
