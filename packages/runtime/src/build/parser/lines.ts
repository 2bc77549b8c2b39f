import { fault } from '@berth/core'

/** One instruction as written: keyword in upper case, the rest joined over continuation lines, and where it began. */
export interface Line {
  readonly number: number
  readonly keyword: string
  readonly rest: string
}

export const syntax = (line: number, why: string) =>
  fault.invalidArgument('build.syntax', `Dockerfile:${line}: ${why}`, { params: { line } })

const DIRECTIVE = /^#\s*escape\s*=\s*(.)\s*$/i
const INSTRUCTION = /^([A-Za-z]+)(?:\s+(.*))?$/s

/** Text → lines: comments, the escape directive, continuation. @throws build.syntax with the line's number */
export function splitLines(text: string): readonly Line[] {
  const raw = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  const continuation = DIRECTIVE.exec(raw[0] ?? '')?.[1] ?? '\\'
  if (continuation !== '\\' && continuation !== '`')
    throw syntax(1, `escape must be \\ or \`, not ${continuation}`)
  const lines: Line[] = []
  let pending: { number: number; text: string } | undefined
  for (const [index, line] of raw.entries()) {
    const trimmed = line.trim()
    if (trimmed.startsWith('#') || (pending && trimmed === '')) continue
    if (!pending && trimmed === '') continue
    const continues = trimmed.endsWith(continuation)
    const piece = continues ? trimmed.slice(0, -1) : trimmed
    pending = { number: pending?.number ?? index + 1, text: (pending?.text ?? '') + piece }
    if (continues) continue
    lines.push(parseLine(pending.number, pending.text))
    pending = undefined
  }
  if (pending) lines.push(parseLine(pending.number, pending.text))
  return lines
}

function parseLine(number: number, text: string): Line {
  const match = INSTRUCTION.exec(text.trim())
  if (!match) throw syntax(number, `${JSON.stringify(text.slice(0, 60))} is not an instruction`)
  return { number, keyword: (match[1] ?? '').toUpperCase(), rest: (match[2] ?? '').trim() }
}

/**
 * Words as a shell splits them: quotes group, and are taken off. With variables they are expanded, except in single quotes; what they bring is
 * never split again.
 */
export function words(text: string, variables?: ReadonlyMap<string, string>): readonly string[] {
  const found: string[] = []
  let current: string | undefined
  let quote = ''
  for (let i = 0; i < text.length; i++) {
    const char = text[i] ?? ''
    const variable = variables && char === '$' && quote !== "'" ? variableAt(text, i, variables) : undefined
    if (variable) {
      current = (current ?? '') + variable.value
      i += variable.length - 1
    } else if (char === '\\' && quote !== "'" && i + 1 < text.length) current = (current ?? '') + text[++i]
    else if (quote !== '') {
      if (char === quote) quote = ''
      else current = (current ?? '') + char
    } else if (char === '"' || char === "'") {
      quote = char
      current ??= ''
    } else if (/\s/.test(char)) {
      if (current !== undefined) found.push(current)
      current = undefined
    } else current = (current ?? '') + char
  }
  if (current !== undefined) found.push(current)
  return found
}

/** `["a", "b"]` as a list; undefined when it is not the JSON form. */
export function jsonForm(text: string): readonly string[] | undefined {
  if (!text.startsWith('[')) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined
  } catch {
    return undefined
  }
}

const VARIABLE = /\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?::([-+])([^}]*))?\})/y

function variableAt(
  text: string,
  at: number,
  variables: ReadonlyMap<string, string>,
): { readonly value: string; readonly length: number } | undefined {
  VARIABLE.lastIndex = at
  const match = VARIABLE.exec(text)
  if (!match) return undefined
  const [all, plain, braced, operator, word = ''] = match
  const value = variables.get(plain ?? braced ?? '') ?? ''
  const isSet = value !== ''
  return {
    value: operator === '-' && !isSet ? word : operator === '+' && isSet ? word : value,
    length: all.length,
  }
}

/** `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:+other}` anywhere in the text; `\$` is a dollar sign. */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  let result = ''
  for (let i = 0; i < text.length; ) {
    const variable = text[i] === '$' ? variableAt(text, i, variables) : undefined
    const isEscaped = text.startsWith('\\$', i)
    result += variable ? variable.value : isEscaped ? '$' : text[i]
    i += variable ? variable.length : isEscaped ? 2 : 1
  }
  return result
}
