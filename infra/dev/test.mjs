// `npm test`: every check and every test, in the order in which a mistake is cheapest to find. Plain JavaScript: it runs before the build.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const repo = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const reports = join(repo, 'node_modules', '.berth-reports')
const cgroupsModule = join(repo, 'infra', 'dist', 'cgroups.exec.js')
rmSync(reports, { recursive: true, force: true })
mkdirSync(reports, { recursive: true })
process.env.BERTH_TEST_REPORTS = reports

const turbo = (task, ...rest) => ['turbo', 'run', task, '--output-logs=errors-only', ...rest]
const STAGES = [
  ['format and lint', ['biome', 'ci', '--reporter=summary', '.'], 'npm run format'],
  ['generated code is fresh', ['npm', 'run', '--silent', 'gen:check'], 'npm run gen, then commit'],
  ['proto lint and breaking changes', ['npm', 'run', '--silent', 'lint:proto'], 'see packages/proto'],
  ['build', turbo('build'), 'npm run build'],
  ['types', turbo('typecheck'), 'npm run typecheck'],
  [
    'boundaries',
    ['npm', 'run', '--silent', 'boundaries'],
    'docs/nomenclature.md and .dependency-cruiser.mjs say who may import whom',
  ],
  ['purity, sizes and fault codes', ['node', 'tools/check.mjs'], 'the message names the file and the fix'],
  ['unused code', ['knip', '--no-progress'], 'remove what is unused'],
  ['unit tests', turbo('test'), 'npm run test:unit'],
  ['tests with Postgres, gRPC and files', turbo('test:int', '--concurrency=1'), 'npm run test:int'],
  ['tests with the kernel, as root', turbo('test:root', '--concurrency=1'), 'npm run test:root'],
  [
    'docker CLI against docker',
    ['env', 'ENGINE=docker', 'npm', 'run', '--silent', 'docker-cli', '-w', '@berth/e2e'],
    'ENGINE=docker npm run docker-cli -w @berth/e2e: the scenarios must be true of a real dockerd',
  ],
  [
    'docker CLI against berth',
    ['env', 'ENGINE=berth', 'npm', 'run', '--silent', 'docker-cli', '-w', '@berth/e2e'],
    'npm run docker-cli -w @berth/e2e',
  ],
  ['end to end: two hosts and a browser', turbo('e2e', '--concurrency=1'), 'npm run e2e'],
]

const only = process.argv.slice(2)
const began = Date.now()
const seconds = (from) => Math.round((Date.now() - from) / 1000)
const failed = []

/**
 * Controllers that a machine with both cgroup versions left on v2 are mounted as v1 while the tests run: crun refuses such a machine, and `npm run up`
 * does the same. Known once the build is there.
 */
let mountedHere
async function readyCgroups() {
  if (mountedHere || !existsSync(cgroupsModule)) return
  const { missingControllers, mountControllers } = await import(cgroupsModule)
  mountedHere = await mountControllers(missingControllers())
  if (mountedHere.length > 0)
    process.stdout.write(`mounted as cgroup v1 while testing: ${mountedHere.join(', ')}\n`)
}

async function restoreCgroups() {
  if (!mountedHere?.length) return
  const { unmountControllers } = await import(cgroupsModule)
  await unmountControllers(mountedHere)
}

for (const [name, argv, fix] of STAGES) {
  if (only.length > 0 && !only.some((word) => name.includes(word))) continue
  if (name.startsWith('tests with')) await readyCgroups()
  const from = Date.now()
  process.stdout.write(`\n== ${name}\n`)
  const result = spawnSync(argv[0], argv.slice(1), {
    cwd: repo,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: process.env,
  })
  process.stdout.write(`== ${name}: ${result.status === 0 ? 'ok' : 'FAILED'} in ${seconds(from)} s\n`)
  if (result.status === 0) continue
  failed.push(name)
  process.stdout.write(`   fix: ${fix}\n`)
  if (name === 'build') break
}

const EXCERPT_LINES = 12
const excerpt = (text = '') =>
  text
    .split('\n')
    .slice(0, EXCERPT_LINES)
    .map((line) => `    ${line}`)
    .join('\n')

function playwrightFailures(suite) {
  const own = (suite.specs ?? []).filter((spec) => !spec.ok)
  return [
    ...own.map((spec) => {
      const errors = spec.tests.flatMap((test) => test.results.flatMap((result) => result.errors))
      return `${spec.file}: ${spec.title}\n${excerpt(errors.map((error) => error.message).join('\n'))}`
    }),
    ...(suite.suites ?? []).flatMap(playwrightFailures),
  ]
}

/** Sums vitest's and Playwright's own JSON reports. */
function count() {
  const sum = { passed: 0, failed: 0, skipped: 0, reasons: [], failures: [] }
  for (const file of existsSync(reports) ? readdirSync(reports) : []) {
    const report = JSON.parse(readFileSync(join(reports, file), 'utf8'))
    if (report.stats) {
      sum.passed += report.stats.expected + report.stats.flaky
      sum.failed += report.stats.unexpected
      sum.skipped += report.stats.skipped
      sum.failures.push(...report.suites.flatMap((suite) => playwrightFailures(suite)))
      continue
    }
    sum.passed += report.numPassedTests
    sum.failed += report.numFailedTests
    sum.skipped += report.numPendingTests + (report.numTodoTests ?? 0)
    for (const suite of report.testResults ?? []) {
      for (const test of suite.assertionResults) {
        if (test.status === 'pending' || test.status === 'skipped')
          sum.reasons.push(`${suite.name}: ${test.fullName}`)
        if (test.status === 'failed')
          sum.failures.push(`${suite.name}: ${test.fullName}\n${excerpt(test.failureMessages.join('\n'))}`)
      }
      if (suite.status === 'failed' && suite.assertionResults.length === 0)
        sum.failures.push(`${suite.name}\n${excerpt(suite.message)}`)
    }
  }
  return sum
}

await restoreCgroups()
const sum = count()
for (const reason of sum.reasons) process.stdout.write(`skipped: ${reason}\n`)
const skippedRoot = sum.reasons.filter((reason) => reason.includes('.root.test.ts'))
if (process.env.CI && skippedRoot.length > 0) failed.push('root tests were skipped, which CI does not allow')
// Once more at the end, where whoever sees only the end of a long output finds it.
for (const failure of sum.failures) process.stdout.write(`\nfailed test: ${failure}\n`)
process.stdout.write(`\nnpm test took ${seconds(began)} s\n`)
if (failed.length > 0) process.stdout.write(`failed: ${failed.join('; ')}\n`)
process.stdout.write(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped\n`)
process.exit(failed.length > 0 || sum.failed > 0 ? 1 : 0)
