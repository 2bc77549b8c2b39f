import type { InstructionLine } from './lines.js'
import { didYouMean, syntaxError } from './syntax-error.js'

export type FlagKind = 'text' | 'bool' | 'list'

export interface Flags {
  text(name: string): string | undefined
  bool(name: string): boolean
  /** Undefined when it was not given. */
  maybe(name: string): boolean | undefined
  list(name: string): readonly string[]
  /** What follows the flags. */
  readonly rest: string
}

/** `--name=value` before the arguments; `--` ends them. @throws build.syntax for an unknown flag, a missing value, one given twice */
export function readFlags(
  line: InstructionLine,
  known: Readonly<Record<string, FlagKind>>,
  escapeChar: string,
): Flags {
  const values = new Map<string, readonly string[]>()
  let rest = line.rest
  for (let word = firstWord(rest, escapeChar); word.startsWith('--'); word = firstWord(rest, escapeChar)) {
    rest = rest.slice(word.length).trimStart()
    if (word === '--') break
    const equals = word.indexOf('=')
    const name = word.slice(2, equals < 0 ? undefined : equals)
    const kind = Object.hasOwn(known, name) ? known[name] : undefined
    if (kind === undefined) throw unknownFlag(line, name, Object.keys(known))
    const value = equals < 0 ? undefined : unquoted(word.slice(equals + 1))
    if (kind !== 'bool' && !value) throw at(line, `missing a value on flag: --${name}`)
    if (kind === 'bool' && value !== undefined && !/^(true|false)$/i.test(value))
      throw at(line, `expecting boolean value for flag --${name}, not: ${value}`)
    if (kind !== 'list' && values.has(name)) throw at(line, `duplicate flag specified: --${name}`)
    values.set(name, [...(values.get(name) ?? []), value ?? 'true'])
  }
  const maybe = (name: string) => values.get(name)?.[0]
  return {
    rest,
    text: maybe,
    bool: (name) => maybe(name)?.toLowerCase() === 'true',
    maybe: (name) => (values.has(name) ? maybe(name)?.toLowerCase() === 'true' : undefined),
    list: (name) => values.get(name) ?? [],
  }
}

const at = (line: InstructionLine, why: string) =>
  syntaxError(line.location, why, `${line.word} ${line.rest}`)

const unknownFlag = (line: InstructionLine, name: string, known: readonly string[]) =>
  at(line, `unknown flag: --${name} of ${line.keyword}${didYouMean(name, known)}`)

const unquoted = (text: string): string => {
  const [, inner] = /^"([^"]*)"$/.exec(text) ?? /^'([^']*)'$/.exec(text) ?? []
  return inner ?? text
}

/** With its quotes and escapes, so that its length is known. */
function firstWord(text: string, escapeChar: string): string {
  let quote = ''
  let at = 0
  for (; at < text.length; at++) {
    const char = text[at] ?? ''
    if (quote === '' && /\s/.test(char)) break
    if (char === escapeChar && quote !== "'") at += 1
    else if (quote !== '') quote = char === quote ? '' : quote
    else if (char === '"' || char === "'") quote = char
  }
  return text.slice(0, at)
}
