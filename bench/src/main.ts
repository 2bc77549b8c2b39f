import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Fault } from '@berth/core'
import { bench } from './bench.exec.js'
import { benchEngines } from './engine/engine-bench.exec.js'
import { renderEngineReport } from './engine/engine-report.js'
import { type EngineOptions, parseOptions, type RunOptions, USAGE } from './options.js'
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
  const say = (text: string) => void process.stderr.write(`bench: ${text}\n`)
  const [report, table] = await measure(options, stopping.signal, say)
  process.stdout.write(`\n${table}\n${JSON.stringify(report)}\n`)
  if (!options.out) return
  writeFileSync(options.out, `${JSON.stringify(report, null, 2)}\n`)
  process.stdout.write(`written to ${options.out}\n`)
}

async function measure(
  options: RunOptions | EngineOptions,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<readonly [report: unknown, table: string]> {
  if (options.command === 'engine') {
    const report = await benchEngines(options, signal, say)
    return [report, renderEngineReport(report)]
  }
  const report = await bench(options, signal, say)
  return [report, renderReport(report)]
}

function fail(error: unknown): void {
  const isUsage = Fault.is(error, 'bench.usage')
  process.stderr.write(
    `bench: ${error instanceof Error ? error.message : String(error)}\n${isUsage ? USAGE : ''}`,
  )
  process.exitCode = isUsage ? 2 : 1
}

main().catch(fail)
