import { parseArgs } from 'node:util'
import { fault } from '@berth/core'

export interface BenchOptions {
  readonly runs: number
  /** Where the JSON goes; only the table is printed when absent. */
  readonly out: string | undefined
  readonly network: 'bridge' | 'none'
}

export const USAGE = `usage: npm run bench -- run [--runs N] [--out FILE] [--network bridge|none]

  --runs N      containers measured per contender after one warm-up (default 20)
  --out FILE    also write every sample and the summary as JSON
  --network     bridge (default): an address, a cable and a bridge each; none: only a loopback
`

/** @throws bench.usage */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const { values, positionals } = parseStrictly(argv)
  const runs = Number(values.runs)
  if (positionals.join(' ') !== 'run' || !Number.isInteger(runs) || runs < 1)
    throw usage('the command is run, and --runs a whole number')
  if (values.network !== 'bridge' && values.network !== 'none') throw usage('--network is bridge or none')
  return { runs, out: values.out, network: values.network }
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
      },
    })
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error))
  }
}

const usage = (message: string) => fault.invalidArgument('bench.usage', message)
