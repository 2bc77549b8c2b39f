import type { Warn } from '../lint/warning.js'
import type { Pair } from './instruction.js'
import type { InstructionLine } from './lines.js'
import { syntaxError } from './syntax-error.js'
import { splitWords } from './words.js'

const refuse = (line: InstructionLine, why: string) =>
  syntaxError(line.location, why, `${line.word} ${line.rest}`)

/** ENV and LABEL: `name=value …`, or the old `name the rest of the line`. @throws build.syntax */
export function parsePairs(line: InstructionLine, escapeChar: string, warn: Warn): readonly Pair[] {
  const { keyword, rest } = line
  const words = splitWords(rest, escapeChar)
  if (words.length === 0) throw refuse(line, `${keyword} requires at least one argument`)
  if (!words[0]?.includes('=')) {
    const [, name = '', value] = /^(\S+)\s+([\s\S]+)$/.exec(rest) ?? []
    if (value === undefined) throw refuse(line, `${keyword} must have two arguments`)
    warn(
      'LegacyKeyValueFormat',
      `"${keyword} key=value" should be used instead of legacy "${keyword} key value" format`,
      line.location.line,
    )
    return [[name, value]]
  }
  return words.map((word) => {
    const at = word.indexOf('=')
    if (at < 0)
      throw refuse(
        line,
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      )
    if (at === 0) throw refuse(line, `${keyword} names can not be blank`)
    return [word.slice(0, at), word.slice(at + 1)] as const
  })
}

export interface ArgPair {
  readonly name: string
  readonly value: string | undefined
}

/** ARG: names, with a default or without. @throws build.syntax */
export function parseArgs(line: InstructionLine, escapeChar: string): readonly ArgPair[] {
  const words = splitWords(line.rest, escapeChar)
  if (words.length === 0) throw refuse(line, 'ARG requires at least one argument')
  return words.map((word) => {
    const at = word.indexOf('=')
    if (at === 0) throw refuse(line, 'ARG names can not be blank')
    return at < 0 ? { name: word, value: undefined } : { name: word.slice(0, at), value: word.slice(at + 1) }
  })
}
