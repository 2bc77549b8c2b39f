import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Fault } from '@berth/core'
import { bench } from './bench.exec.js'
import { parseOptions, USAGE } from './options.js'
import { renderReport } from './report.js'

const INSIDE = 'BERTH_BENCH_INSIDE'

/** Bridges and packet rules of all contenders live in a network namespace that ends with this process. */
function enterNamespace(): void {
  const child = spawn(
    'unshare',
    ['--net', '--', process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)],
    {
      stdio: 'inherit',
      env: { ...process.env, [INSIDE]: '1' },
    },
  )
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => fail(error))
  child.on('exit', (code) => process.exit(code ?? 1))
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2))
  if (process.env[INSIDE] !== '1') return enterNamespace()
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => stopping.abort(new Error(`stopped by ${signal}`)))
  const report = await bench(options, stopping.signal, (text) => process.stderr.write(`bench: ${text}\n`))
  process.stdout.write(`\n${renderReport(report)}\n${JSON.stringify(report)}\n`)
  if (!options.out) return
  writeFileSync(options.out, `${JSON.stringify(report, null, 2)}\n`)
  process.stdout.write(`written to ${options.out}\n`)
}

function fail(error: unknown): void {
  const isUsage = Fault.is(error, 'bench.usage')
  process.stderr.write(
    `bench: ${error instanceof Error ? error.message : String(error)}\n${isUsage ? USAGE : ''}`,
  )
  process.exitCode = isUsage ? 2 : 1
}

main().catch(fail)
