// The repo's own rules that no linter knows: purity, sizes, fault codes. `node tools/check.mjs`; exits 1 with the fix beside each finding.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { collectCodes, compareCodes, DOCUMENT, documentedCodes } from './fault-codes.mjs'
import { findImpurities, mustBePure } from './purity.mjs'
import { selfTest } from './self-test.mjs'
import { findOversize } from './sizes.mjs'
import { listSources, REPO, readSource } from './sources.mjs'

selfTest()

const sources = listSources().map((path) => ({ path, source: readSource(path) }))
const at = (path) => (finding) => ({ path, ...finding })

const RULES = {
  purity: sources
    .filter(({ path }) => mustBePure(path))
    .flatMap(({ path, source }) => findImpurities(source).map(at(path))),
  sizes: sources.flatMap(({ path, source }) => findOversize(path, source).map(at(path))),
  'fault codes': compareCodes(
    sources.map(({ path, source }) => ({ path, ...collectCodes(path, source) })),
    documentedCodes(readFileSync(join(REPO, DOCUMENT), 'utf8')),
  ),
}

for (const [rule, findings] of Object.entries(RULES))
  for (const { path, line, what, fix } of findings)
    process.stdout.write(`${path}:${line}  ${rule}: ${what}\n    fix: ${fix}\n`)

const total = Object.values(RULES).flat().length
process.stdout.write(
  `${sources.length} files: ${Object.entries(RULES)
    .map(([rule, findings]) => `${rule} ${findings.length || 'ok'}`)
    .join(', ')}\n`,
)
process.exitCode = total > 0 ? 1 : 0
