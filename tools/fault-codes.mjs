// Every fault code is a promise to bots and translations, and a person who meets it needs a next step: docs/failure-modes.md has one row
// for each, and no row for what no longer exists.
import ts from 'typescript'
import { isTest, lineOf, walk } from './sources.mjs'

export const DOCUMENT = 'docs/failure-modes.md'

const CODE = /^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$/

/** Codes that exist only to test: they never reach a user. */
const isCollected = (path) => !isTest(path) && !path.startsWith('apps/web/')

/**
 * Codes that one file makes: { codes: Map code → line, patterns: RegExp[] (templates such as `${what}.id_invalid`), literals: every
 * string that looks like a code }.
 */
export function collectCodes(path, source) {
  const codes = new Map()
  const patterns = []
  const literals = new Set()
  const take = (node) => {
    if (ts.isStringLiteralLike(node) && CODE.test(node.text)) codes.set(node.text, lineOf(source, node))
    if (ts.isConditionalExpression(node)) for (const branch of [node.whenTrue, node.whenFalse]) take(branch)
    if (ts.isTemplateExpression(node)) patterns.push(patternOf(node))
  }
  walk(source, (node) => {
    if (ts.isStringLiteralLike(node) && CODE.test(node.text)) literals.add(node.text)
    if (!isCollected(path)) return
    if (isFaultCall(source, node)) take(node.arguments[0])
    if (isFaultOptions(source, node))
      for (const property of node.arguments[0].properties) takeCode(property, take)
  })
  return { codes, patterns, literals }
}

const isFaultCall = (source, node) =>
  ts.isCallExpression(node) &&
  ts.isPropertyAccessExpression(node.expression) &&
  node.expression.expression.getText(source) === 'fault' &&
  node.arguments.length > 0

const isFaultOptions = (source, node) =>
  ts.isNewExpression(node) &&
  node.expression.getText(source) === 'Fault' &&
  node.arguments?.[0] !== undefined &&
  ts.isObjectLiteralExpression(node.arguments[0])

function takeCode(property, take) {
  if (ts.isPropertyAssignment(property) && property.name.getText() === 'code') take(property.initializer)
}

function patternOf(template) {
  const parts = [template.head.text, ...template.templateSpans.map((span) => span.literal.text)]
  return new RegExp(`^${parts.map((part) => part.replaceAll('.', '\\.')).join('[a-z0-9_]+')}$`)
}

/** Codes that have a row: `| \`code\` | … |`, with their lines. */
export function documentedCodes(markdown) {
  const rows = new Map()
  markdown.split('\n').forEach((line, index) => {
    const code = /^\| `([a-z0-9_.]+)` \| .*\S.* \| .*\S.* \|$/.exec(line)?.[1]
    if (code) rows.set(code, index + 1)
  })
  return rows
}

/** @param files [{ path, codes, patterns, literals }] of collectCodes */
export function compareCodes(files, documented) {
  const known = new Set(files.flatMap((file) => [...file.literals]))
  const patterns = files.flatMap((file) => file.patterns)
  const missing = files.flatMap((file) =>
    [...file.codes]
      .filter(([code]) => !documented.has(code))
      .map(([code, line]) => ({
        path: file.path,
        line,
        what: `fault code ${code} is not in ${DOCUMENT}`,
        fix: `add a row there: | \`${code}\` | what happened | what to check |`,
      })),
  )
  const stale = [...documented]
    .filter(([code]) => !known.has(code) && !patterns.some((pattern) => pattern.test(code)))
    .map(([code, line]) => ({
      path: DOCUMENT,
      line,
      what: `${code} no longer exists in the code`,
      fix: 'remove the row',
    }))
  return [...missing, ...stale]
}
