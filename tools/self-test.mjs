// A rule that never fires guards nothing: each one is shown code that it must refuse and code that it must let pass.
import assert from 'node:assert/strict'
import { collectCodes, compareCodes, documentedCodes } from './fault-codes.mjs'
import { findImpurities, mustBePure } from './purity.mjs'
import { findOversize } from './sizes.mjs'
import { parse } from './sources.mjs'

const PURE = 'apps/agent/src/tasks/plan-steps.ts'
const impurities = (text) => findImpurities(parse(PURE, text)).map((finding) => finding.what)

function purity() {
  for (const path of [
    'apps/x/src/a.loop.ts',
    'apps/x/src/main.ts',
    'packages/runtime/src/host/libc.ts',
    'apps/x/src/a.test.ts',
  ])
    assert.equal(mustBePure(path), false, path)
  for (const path of [PURE, 'apps/web/src/features/tasks/model/rows.ts', 'infra/dev/layout.ts'])
    assert.equal(mustBePure(path), true, path)
  assert.deepEqual(impurities('const a = Date.now() + Math.random()'), ['Date.now()', 'Math.random()'])
  assert.deepEqual(impurities('const a = new Date(); const b = new Date(nowMs); const c = clock.nowMs()'), [
    'new Date()',
  ])
  assert.deepEqual(impurities('const a = process.env.HOME; const b = task.process.env'), ['process.env'])
  assert.deepEqual(impurities('setTimeout(f, 1); timers.setTimeout(f); // Date.now()'), ['setTimeout()'])
  assert.deepEqual(impurities('const a = performance.now(); const s = "Math.random()"'), [
    'performance.now()',
  ])
}

function sizes() {
  const body = 'work()\n'.repeat(61)
  const count = (path, text) => findOversize(path, parse(path, text)).length
  assert.equal(count(PURE, `function f() {\n${body}}\n`), 1)
  assert.equal(count(PURE, `// size: a flat table of instructions\nfunction f() {\n${body}}\n`), 0)
  assert.equal(count(PURE, `// size: a flat table\nexport const f = (a) => {\n${body}}\n`), 0)
  assert.equal(count(PURE, 'work()\n'.repeat(401)), 1)
  assert.equal(count('a/b.test.ts', 'work()\n'.repeat(401)), 0)
}

function faultCodes() {
  const source = `
    throw fault.notFound('thing.gone', 'x')
    throw fault.internal(isA ? 'thing.a' : 'thing.b', 'x')
    throw fault.invalidArgument(\`\${what}.id_invalid\`, 'x')
    throw new Fault({ kind: 'internal', code: 'thing.odd', message: 'x' })`
  const files = [{ path: PURE, ...collectCodes(PURE, parse(PURE, source)) }]
  const doc = documentedCodes(
    '| `thing.gone` | it went | look |\n| `task.id_invalid` | bad | look |\n| `old.code` | was | look |\n| `thing.a` | | |',
  )
  const found = compareCodes(files, doc).map((finding) => finding.what)
  assert.deepEqual(found, [
    'fault code thing.a is not in docs/failure-modes.md',
    'fault code thing.b is not in docs/failure-modes.md',
    'fault code thing.odd is not in docs/failure-modes.md',
    'old.code no longer exists in the code',
  ])
}

export function selfTest() {
  purity()
  sizes()
  faultCodes()
}
