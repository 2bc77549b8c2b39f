import { posix } from 'node:path'
import { fault } from '@berth/core'
import { compilePattern, type Pattern, PatternError } from './pattern.js'

export interface IgnoreRules {
  /** Whether a path of the context, without leading slash, is left out. */
  ignores(path: string): boolean
  /** Whether something below an ignored directory may be let in again: then it has to be looked into. */
  readonly hasExceptions: boolean
}

interface Rule {
  readonly pattern: Pattern
  readonly isException: boolean
}

const TEXT_MAX_BYTES = 1024 * 1024
const RULES_MAX = 10_000

/** docker's .dockerignore: the last rule that fits a path or a directory above it decides. @throws build.ignore_invalid naming the line */
export function parseIgnoreRules(text: string, fileName = '.dockerignore'): IgnoreRules {
  const refuse = (line: number, why: string) =>
    fault.invalidArgument('build.ignore_invalid', `${fileName}:${line}: ${why}`, { params: { line } })
  if (text.length > TEXT_MAX_BYTES) throw refuse(1, `it is larger than ${TEXT_MAX_BYTES} characters`)
  const rules: Rule[] = []
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const line = patternOf(raw)
    if (line === undefined) continue
    if (line === '!') throw refuse(index + 1, 'illegal exclusion pattern: "!"')
    if (rules.length >= RULES_MAX) throw refuse(index + 1, `it has more than ${RULES_MAX} patterns`)
    const isException = line.startsWith('!')
    try {
      rules.push({
        isException,
        pattern: compilePattern(isException ? line.slice(1) : line, { hasDoubleStar: true }),
      })
    } catch (error) {
      throw error instanceof PatternError
        ? refuse(index + 1, `${JSON.stringify(line.slice(0, 200))}: ${error.message}`)
        : error
    }
  }
  return ignoreRules(rules)
}

function ignoreRules(rules: readonly Rule[]): IgnoreRules {
  return {
    hasExceptions: rules.some(({ isException }) => isException),
    ignores: (path) => {
      const last = rules.findLast(({ pattern }) => pattern.matchesOrParent(path))
      return last !== undefined && !last.isException
    },
  }
}

/** Comments only where the line begins with one; what is absolute is meant from the context's root. */
function patternOf(raw: string): string | undefined {
  if (raw.startsWith('#')) return undefined
  const line = raw.trim()
  if (line === '') return undefined
  const isException = line.startsWith('!')
  const pattern = isException ? line.slice(1).trim() : line
  const cleaned = pattern === '' ? '' : posix.normalize(pattern).replace(/(?<=.)\/$/, '')
  const relative = cleaned.length > 1 && cleaned.startsWith('/') ? cleaned.slice(1) : cleaned
  return `${isException ? '!' : ''}${relative}`
}
