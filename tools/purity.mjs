// SUFFIX = EFFECT, the half that imports do not show: a file whose name promises no effect reads no clock, no randomness, no environment
// and sets no timer. Time, ids and randomness are arguments there, so that a test decides them and a plan can be computed twice.
import ts from 'typescript'
import { isTest, lineOf, walk } from './sources.mjs'

const EFFECT_SUFFIX = /\.(store|loop|exec|grpc|client|controller|gateway|module|child)\.tsx?$/
const COMPOSITION_ROOT = /(^|\/)(main|agent|runtime)\.ts$|\/host\/|\.config\.ts$|^vitest\.shared\.ts$/

/** The few pure-named files that exist to wrap an effect. */
const WRAPPERS = new Set([
  'packages/core/src/clock.ts',
  'packages/core/src/ids.ts',
  'packages/core/src/failpoint.ts',
  'packages/core/src/logger.ts',
])

const isWebView = (path) => path.startsWith('apps/web/') && !/features\/[^/]+\/model\//.test(path)

export const mustBePure = (path) =>
  !isTest(path) &&
  !EFFECT_SUFFIX.test(path) &&
  !COMPOSITION_ROOT.test(path) &&
  !WRAPPERS.has(path) &&
  !isWebView(path)

const CALLS = {
  'Date.now': 'take nowMs as an argument (Clock.nowMs in the loop that calls this)',
  'performance.now': 'take the time as an argument (Clock.monotonicMs)',
  'Math.random': 'take a number in [0, 1) as an argument',
  'crypto.randomUUID': 'take the id as an argument (new*Id of @berth/core)',
  'crypto.getRandomValues': 'take the bytes as an argument',
  'AbortSignal.timeout': 'take an AbortSignal as an argument: the caller sets the deadline',
}
const FUNCTIONS = {
  setTimeout: 'wait in a *.loop.ts with Clock.sleep',
  setInterval: 'wait in a *.loop.ts with Clock.sleep',
  setImmediate: 'wait in a *.loop.ts with Clock.sleep',
  fetch: 'call it in a *.client.ts and pass the answer',
  randomBytes: 'take the bytes as an argument',
  randomUUID: 'take the id as an argument (new*Id of @berth/core)',
  randomInt: 'take the number as an argument',
}

/** Findings of one file as { line, what, fix }. */
export function findImpurities(source) {
  const found = []
  const add = (node, what, fix) => found.push({ line: lineOf(source, node), what, fix })
  walk(source, (node) => {
    if (ts.isCallExpression(node)) {
      const callee = node.expression.getText(source)
      const fix = CALLS[callee] ?? (ts.isIdentifier(node.expression) ? FUNCTIONS[callee] : undefined)
      if (fix) add(node, `${callee}()`, fix)
    }
    if (ts.isNewExpression(node) && node.expression.getText(source) === 'Date' && !node.arguments?.length)
      add(node, 'new Date()', CALLS['Date.now'])
    if (ts.isPropertyAccessExpression(node) && isGlobal(node.expression, 'process'))
      add(node, `process.${node.name.text}`, 'read it in main.ts or an effect file and pass the value')
    if (ts.isPropertyAccessExpression(node) && isGlobal(node.expression, 'console'))
      add(node, `console.${node.name.text}`, 'return the text, or log in the loop that calls this')
  })
  return found
}

const isGlobal = (node, name) => ts.isIdentifier(node) && node.text === name
