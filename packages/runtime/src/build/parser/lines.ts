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

/** Words as a shell splits them: quotes group, and are taken off. */
export function words(text: string): readonly string[] {
  const found: string[] = []
  let current: string | undefined
  let quote = ''
  for (let i = 0; i < text.length; i++) {
    const char = text[i] ?? ''
    if (quote !== '') {
      if (char === quote) quote = ''
      else if (char === '\\' && quote === '"' && i + 1 < text.length) current = (current ?? '') + text[++i]
      else current = (current ?? '') + char
    } else if (char === '"' || char === "'") {
      quote = char
      current ??= ''
    } else if (char === '\\' && i + 1 < text.length) current = (current ?? '') + text[++i]
    else if (/\s/.test(char)) {
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

const VARIABLE = /\\\$|\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?::([-+])([^}]*))?\})/g

/** `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:+other}`. */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replace(VARIABLE, (all, plain?: string, braced?: string, operator?: string, word?: string) => {
    if (all === '\\$') return '$'
    const value = variables.get(plain ?? braced ?? '')
    if (operator === '-') return value ? value : (word ?? '')
    if (operator === '+') return value ? (word ?? '') : ''
    return value ?? ''
  })
}
