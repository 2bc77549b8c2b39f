import { lintInstructions } from '../lint/lint-instructions.js'
import type { LintWarning, Warn } from '../lint/warning.js'
import type { Directives } from './directives.js'
import type { Instruction } from './instruction.js'
import { readLines } from './lines.js'
import { parseInstruction } from './parse-instruction.js'
import { syntaxError } from './syntax-error.js'

export interface Stage {
  /** From 0, as written. */
  readonly index: number
  /** Lower case; absent: only its number is a name. */
  readonly name: string | undefined
  readonly from: Extract<Instruction, { kind: 'from' }>
  readonly instructions: readonly Instruction[]
}

export interface Dockerfile {
  readonly directives: Directives
  /** ARGs before the first FROM. */
  readonly globals: readonly Extract<Instruction, { kind: 'arg' }>[]
  readonly stages: readonly Stage[]
  readonly warnings: readonly LintWarning[]
}

/** Text → stages of instructions. @throws build.syntax with line and column */
export function parseDockerfile(source: Uint8Array | string): Dockerfile {
  const warnings: LintWarning[] = []
  const warn: Warn = (rule, message, line) => void warnings.push({ rule, message, line })
  const { directives, lines } = readLines(source, warn)
  const instructions = lines.map((line) => parseInstruction(line, directives.escapeChar, warn))
  const globals: Extract<Instruction, { kind: 'arg' }>[] = []
  const stages: { -readonly [Key in keyof Stage]: Stage[Key] }[] = []
  for (const instruction of instructions) {
    const stage = stages.at(-1)
    if (instruction.kind === 'from')
      stages.push({ index: stages.length, name: instruction.alias, from: instruction, instructions: [] })
    else if (stage) (stage.instructions as Instruction[]).push(instruction)
    else if (instruction.kind === 'arg') globals.push(instruction)
    else
      throw syntaxError(
        instruction.location,
        'no build stage in current context: the first instruction must be FROM or ARG',
        instruction.text,
      )
  }
  const [last] = instructions.slice(-1)
  if (stages.length === 0 && last)
    throw syntaxError(last.location, 'the Dockerfile has no FROM: there is nothing to build', last.text)
  lintInstructions(lines, stages, warn)
  return { directives, globals, stages, warnings: told(warnings, directives) }
}

/** One line of a trigger, as an image carries it. @throws build.syntax */
export function parseTrigger(text: string, warn: Warn): Instruction {
  const { lines } = readLines(text, warn)
  const [line] = lines
  if (!line || lines.length > 1)
    throw syntaxError({ line: 1, column: 1, endLine: 1 }, 'an ONBUILD trigger must be one instruction', text)
  return parseInstruction(line, '\\', warn)
}

function told(warnings: readonly LintWarning[], { check }: Directives): readonly LintWarning[] {
  if (check.skip === 'all') return []
  const skipped = new Set(check.skip.map((rule) => rule.toLowerCase()))
  const shown = warnings.filter(({ rule }) => !skipped.has(rule.toLowerCase()))
  return [...shown].sort((a, b) => a.line - b.line)
}
