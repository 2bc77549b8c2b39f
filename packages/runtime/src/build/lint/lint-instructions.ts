import type { Instruction } from '../dockerfile/instruction.js'
import type { InstructionLine } from '../dockerfile/lines.js'
import { isSecretName } from './secret-names.js'
import type { Warn } from './warning.js'

interface LintedStage {
  readonly name: string | undefined
  readonly from: Extract<Instruction, { kind: 'from' }>
  readonly instructions: readonly Instruction[]
}

/** What can be said of a Dockerfile without knowing any variable's value. */
export function lintInstructions(
  lines: readonly InstructionLine[],
  stages: readonly LintedStage[],
  warn: Warn,
): void {
  lintCasing(lines, warn)
  lintNames(stages, warn)
  for (const { from, instructions } of stages) {
    lintRepeats(instructions, warn)
    for (const instruction of instructions) lintSecrets(instruction, warn)
    if (from.platform !== undefined && !from.platform.includes('$'))
      warn(
        'FromPlatformFlagConstDisallowed',
        `FROM --platform flag should not use constant value "${from.platform}"`,
        from.location.line,
      )
    if (/^\$\{?TARGETPLATFORM\}?$/.test(from.platform ?? ''))
      warn(
        'RedundantTargetPlatform',
        `Setting platform to predefined ${from.platform} in FROM is redundant as this is the default behavior`,
        from.location.line,
      )
  }
}

const isUpper = (word: string): boolean => word === word.toUpperCase()
const isLower = (word: string): boolean => word === word.toLowerCase()

function lintCasing(lines: readonly InstructionLine[], warn: Warn): void {
  const uppers = lines.filter(({ word }) => isUpper(word)).length
  const lowers = lines.filter(({ word }) => isLower(word)).length
  const wanted = uppers >= lowers ? 'uppercase' : 'lowercase'
  const fits = wanted === 'uppercase' ? isUpper : isLower
  for (const { word, keyword, rest, location } of lines) {
    if (!fits(word))
      warn(
        'ConsistentInstructionCasing',
        `Command '${word}' should match the case of the command majority (${wanted})`,
        location.line,
      )
    if (keyword !== 'FROM') continue
    const [, as = '', name = ''] = /\s(as)\s+(\S+)\s*$/i.exec(rest) ?? []
    if (as !== '' && isUpper(as) !== isUpper(word))
      warn('FromAsCasing', `'${as}' and '${word}' keywords' casing do not match`, location.line)
    if (name !== name.toLowerCase())
      warn('StageNameCasing', `Stage name '${name}' should be lowercase`, location.line)
  }
}

const RESERVED: ReadonlySet<string> = new Set(['scratch', 'context'])

function lintNames(stages: readonly LintedStage[], warn: Warn): void {
  const seen = new Set<string>()
  for (const { name, from } of stages) {
    if (name === undefined) continue
    if (RESERVED.has(name))
      warn(
        'ReservedStageName',
        `Stage name should not use the same name as reserved stage "${name}"`,
        from.location.line,
      )
    if (seen.has(name))
      warn(
        'DuplicateStageName',
        `Duplicate stage name "${name}", stage names should be unique`,
        from.location.line,
      )
    seen.add(name)
  }
}

const ONCE: ReadonlySet<string> = new Set(['cmd', 'entrypoint', 'healthcheck'])

function lintRepeats(instructions: readonly Instruction[], warn: Warn): void {
  const last = new Map<string, Instruction>()
  for (const instruction of instructions) {
    if (!ONCE.has(instruction.kind)) continue
    const before = last.get(instruction.kind)
    const word = instruction.kind.toUpperCase()
    if (before)
      warn(
        'MultipleInstructionsDisallowed',
        `Multiple ${word} instructions should not be used in the same stage because only the last one will be used`,
        before.location.line,
      )
    last.set(instruction.kind, instruction)
  }
}

function lintSecrets(instruction: Instruction, warn: Warn): void {
  const names =
    instruction.kind === 'env'
      ? instruction.pairs.map(([name]) => name)
      : instruction.kind === 'arg'
        ? instruction.args.map(({ name }) => name)
        : []
  for (const name of names)
    if (isSecretName(name))
      warn(
        'SecretsUsedInArgOrEnv',
        `Do not use ARG or ENV instructions for sensitive data (${instruction.kind.toUpperCase()} ${JSON.stringify(name)})`,
        instruction.location.line,
      )
}
