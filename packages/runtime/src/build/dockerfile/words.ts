import type { CommandForm } from './instruction.js'

/** Divided at blanks outside of quotes; quotes and escapes stay on, for whoever expands it. */
export function splitWords(text: string, escapeChar: string): readonly string[] {
  const found: string[] = []
  let current: string[] = []
  let quote = ''
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? ''
    if (quote === '' && /\s/.test(char)) {
      if (current.length > 0) found.push(current.join(''))
      current = []
      continue
    }
    current.push(char)
    if (char === escapeChar && quote !== "'" && at + 1 < text.length) current.push(text[++at] ?? '')
    else if (quote !== '') quote = char === quote ? '' : quote
    else if (char === '"' || char === "'") quote = char
  }
  if (current.length > 0) found.push(current.join(''))
  return found
}

/** Why a list is refused; the caller knows where. */
export class WordsError extends Error {}

/** `["a", "b"]`; undefined when it is not the JSON form. @throws WordsError for a list of anything but texts */
export function jsonForm(text: string): readonly string[] | undefined {
  if (!text.startsWith('[')) return undefined
  const value = parsed(text)
  if (!Array.isArray(value)) return undefined
  if (value.every((item) => typeof item === 'string')) return value
  throw new WordsError('when using JSON array syntax, arrays must be comprised of strings only')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export function commandForm(text: string): CommandForm {
  const argv = jsonForm(text)
  return argv ? { form: 'exec', argv } : { form: 'shell', line: text }
}

const UNITS: Readonly<Record<string, number>> = {
  ...{ ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 },
}

/** Go's durations (`1m30s`, `1.5h`) in milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  if (
    !/^[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)){0,9}$/.test(
      text,
    )
  )
    return /^[+-]?0$/.test(text) ? 0 : undefined
  const parts = text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)
  const sum = [...parts].reduce(
    (total, [, count = '0', unit = 's']) => total + Number(count) * (UNITS[unit] ?? 0),
    0,
  )
  return text.startsWith('-') ? -sum : sum
}
