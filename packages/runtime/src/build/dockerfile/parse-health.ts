import { readFlags } from './flags.js'
import type { HealthInstruction } from './instruction.js'
import type { InstructionLine } from './lines.js'
import { syntaxError } from './syntax-error.js'
import { commandForm, parseDuration } from './words.js'

const FLAGS = {
  interval: 'text',
  timeout: 'text',
  'start-period': 'text',
  'start-interval': 'text',
  retries: 'text',
} as const
const DURATION_MIN_MS = 1

/** HEALTHCHECK. @throws build.syntax */
export function parseHealth(line: InstructionLine, escapeChar: string): HealthInstruction {
  const refuse = (why: string) => syntaxError(line.location, why, `${line.word} ${line.rest}`)
  const flags = readFlags(line, FLAGS, escapeChar)
  const [, type = '', rest = ''] = /^(\S+)\s*([\s\S]*)$/.exec(flags.rest) ?? []
  if (type === '') throw refuse('HEALTHCHECK requires at least one argument: CMD and a command, or NONE')
  if (type.toUpperCase() === 'NONE') {
    if (rest !== '') throw refuse('HEALTHCHECK NONE takes no arguments')
    return 'none'
  }
  if (type.toUpperCase() !== 'CMD')
    throw refuse(`Unknown type ${JSON.stringify(type)} in HEALTHCHECK (try CMD)`)
  if (rest === '' || rest === '[]') throw refuse('Missing command after HEALTHCHECK CMD')
  const duration = (name: keyof typeof FLAGS): number | undefined => {
    const text = flags.text(name)
    if (text === undefined) return undefined
    const ms = parseDuration(text)
    if (ms === undefined)
      throw refuse(`invalid duration ${JSON.stringify(text)} for --${name}: use e.g. 30s or 1m30s`)
    if (ms !== 0 && ms < DURATION_MIN_MS)
      throw refuse(`Interval ${JSON.stringify(name)} cannot be less than 1ms`)
    return ms
  }
  const given = {
    intervalMs: duration('interval'),
    timeoutMs: duration('timeout'),
    startPeriodMs: duration('start-period'),
    startIntervalMs: duration('start-interval'),
    retries: retriesOf(flags.text('retries'), refuse),
  }
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  return { ...defined, command: commandForm(rest) }
}

function retriesOf(text: string | undefined, refuse: (why: string) => Error): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,9}$/.test(text))
    throw refuse(`--retries must be a whole number that is not negative, not ${JSON.stringify(text)}`)
  return Number(text)
}
