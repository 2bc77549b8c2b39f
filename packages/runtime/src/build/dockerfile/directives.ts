import { syntaxError } from './syntax-error.js'

/** `# name=value` lines before anything else (parser directives). */
export interface Directives {
  readonly escapeChar: '\\' | '`'
  /** Asks for another frontend, which there is none of: this one speaks its language. */
  readonly syntax: string | undefined
  readonly check: CheckDirective
  /** How many lines they take. */
  readonly lines: number
}

export interface CheckDirective {
  /** Rules that are not told, or all. */
  readonly skip: 'all' | readonly string[]
  /** Warnings are errors. */
  readonly isStrict: boolean
}

const DIRECTIVE = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/
const KNOWN: ReadonlySet<string> = new Set(['escape', 'syntax', 'check'])

/** Ends at the first line that is not one; unknown names are comments. @throws build.syntax */
export function readDirectives(lines: readonly string[]): Directives {
  const values = new Map<string, string>()
  let count = 0
  for (const line of lines) {
    const [, name = '', value = ''] = DIRECTIVE.exec(line.trim()) ?? []
    const key = name.toLowerCase()
    if (!KNOWN.has(key)) break
    count += 1
    if (values.has(key)) throw at(count, `only one ${key} parser directive can be used`, line)
    values.set(key, value)
    if (key === 'escape' && value !== '\\' && value !== '`')
      throw at(count, `invalid escape token '${value}': must be \\ or \``, line)
  }
  return {
    escapeChar: values.get('escape') === '`' ? '`' : '\\',
    syntax: values.get('syntax'),
    check: parseCheck(values.get('check') ?? '', count),
    lines: count,
  }
}

const at = (line: number, why: string, text: string) =>
  syntaxError({ line, column: 1, endLine: line }, why, text)

/** `skip=Rule,Rule;error=true` */
function parseCheck(text: string, line: number): CheckDirective {
  let skip: CheckDirective['skip'] = []
  let isStrict = false
  for (const part of text.split(';').filter(Boolean)) {
    const [name = '', value = ''] = part.split('=', 2).map((piece) => piece.trim())
    if (name === 'skip')
      skip = value.toLowerCase() === 'all' ? 'all' : value.split(',').map((rule) => rule.trim())
    else if (name === 'error' && (value === 'true' || value === 'false')) isStrict = value === 'true'
    else
      throw at(line, `invalid check directive ${JSON.stringify(part)}: use skip=RULE,… and error=true`, text)
  }
  return { skip, isStrict }
}
