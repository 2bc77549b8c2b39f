import { parseArgs } from 'node:util'
import { fault } from '@berth/core'
import type { Slowness } from './slowness.js'

export const LAB_VERBS = ['hosts', 'cut', 'heal', 'slow', 'kill', 'start', 'reboot'] as const
export interface LabRequest {
  readonly verb: (typeof LAB_VERBS)[number]
  readonly host: string | undefined
  readonly direction: 'both' | 'in' | 'out'
  readonly hold: boolean
  readonly slowness: Slowness
}

const number = (name: string, text: string | undefined, min: number, max: number): number | undefined => {
  if (text === undefined) return undefined
  const value = Number(text.replace(/(%|ms)$/, ''))
  if (!Number.isInteger(value) || value < min || value > max)
    throw fault.invalidArgument('lab.usage', `--${name} ${text} must be a whole number from ${min} to ${max}`)
  return value
}

function parse<T extends NonNullable<Parameters<typeof parseArgs>[0]>>(config: T) {
  try {
    return parseArgs(config)
  } catch (cause) {
    throw fault.invalidArgument('lab.usage', cause instanceof Error ? cause.message : String(cause), {
      cause,
    })
  }
}

/** `up [--hosts N] [--no-demo]` */
export function parseUp(argv: readonly string[]): { hosts: number | undefined; demo: boolean } {
  const { values } = parse({
    args: [...argv],
    options: { hosts: { type: 'string' }, 'no-demo': { type: 'boolean' } },
  })
  const hosts = number('hosts', values.hosts as string | undefined, 1, 50)
  return { hosts, demo: values['no-demo'] !== true }
}

/** `lab VERB HOST [--direction both|in|out] [--rate R] [--loss P] [--delay MS] [--hold]` */
export function parseLab(argv: readonly string[]): LabRequest {
  const { values, positionals } = parse({
    args: [...argv],
    allowPositionals: true,
    options: {
      direction: { type: 'string' },
      rate: { type: 'string' },
      loss: { type: 'string' },
      delay: { type: 'string' },
      hold: { type: 'boolean' },
    },
  })
  const verb = LAB_VERBS.find((candidate) => candidate === positionals[0])
  if (!verb) throw fault.invalidArgument('lab.usage', `use: npm run lab -- ${LAB_VERBS.join('|')} HOST`)
  const direction = (values.direction as string | undefined) ?? 'both'
  if (direction !== 'both' && direction !== 'in' && direction !== 'out')
    throw fault.invalidArgument('lab.usage', '--direction must be both, in or out')
  return {
    verb,
    host: positionals[1],
    direction,
    hold: values.hold === true,
    slowness: slowness(verb, values),
  }
}

function slowness(verb: string, values: Record<string, unknown>): Slowness {
  const loss = number('loss', values.loss as string | undefined, 1, 100)
  const delay = number('delay', values.delay as string | undefined, 1, 60_000)
  const rate = values.rate as string | undefined
  if (verb === 'slow' && !loss && !delay && !rate)
    throw fault.invalidArgument('lab.usage', 'slow needs --rate 256kbit, --loss 10 or --delay 300')
  return {
    ...(rate ? { rate } : {}),
    ...(loss ? { lossPercent: loss } : {}),
    ...(delay ? { delayMs: delay } : {}),
  }
}
