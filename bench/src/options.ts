import { parseArgs } from 'node:util'
import { fault } from '@berth/core'
import { ROW_IDS, type RowId } from './engine/rows.js'

export interface RunOptions {
  readonly command: 'run'
  readonly runs: number
  /** Where the JSON goes; only the table is printed when absent. */
  readonly out: string | undefined
  readonly network: 'bridge' | 'none'
}

export interface EngineOptions {
  readonly command: 'engine'
  readonly runs: number
  readonly out: string | undefined
  readonly rows: readonly RowId[]
  /** How many containers are there at once in the rows about many. */
  readonly containers: number
}

export const USAGE = `usage: npm run bench -- run [--runs N] [--out FILE] [--network bridge|none]
       npm run bench -- engine [--rows A,B] [--runs N] [--containers N] [--out FILE]

  --runs N        measurements per contender after one warm-up (default 20); of what takes long at most 5
  --out FILE      also write every sample and the summary as JSON
  --network       bridge (default): an address, a cable and a bridge each; none: only a loopback
  --rows A,B      only these rows of: ${ROW_IDS.join(', ')}
  --containers N  how many there are in the rows about many (default 100)
`

/** @throws bench.usage */
export function parseOptions(argv: readonly string[]): RunOptions | EngineOptions {
  const { values, positionals } = parseStrictly(argv)
  const command = positionals.join(' ')
  const runs = wholeNumber('runs', values.runs)
  if (command === 'engine')
    return {
      command,
      runs,
      out: values.out,
      rows: parseRows(values.rows),
      containers: wholeNumber('containers', values.containers),
    }
  if (command !== 'run') throw usage('the command is run or engine')
  if (values.network !== 'bridge' && values.network !== 'none') throw usage('--network is bridge or none')
  return { command, runs, out: values.out, network: values.network }
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw usage(`--${name} is a whole number of at least 1`)
  return value
}

function parseRows(text: string | undefined): readonly RowId[] {
  const words = text?.split(',')
  const unknown = words?.find((word) => !ROW_IDS.some((id) => id === word))
  if (unknown !== undefined) throw usage(`--rows has no row ${unknown}: ${ROW_IDS.join(', ')}`)
  return ROW_IDS.filter((id) => words?.includes(id) ?? true)
}

function parseStrictly(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        runs: { type: 'string', default: '20' },
        out: { type: 'string' },
        network: { type: 'string', default: 'bridge' },
        rows: { type: 'string' },
        containers: { type: 'string', default: '100' },
      },
    })
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error))
  }
}

const usage = (message: string) => fault.invalidArgument('bench.usage', message)
