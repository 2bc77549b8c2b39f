// A file nobody can read in one go is two files. Flat tables and exhaustive switches may say so: `// size: why it is one piece` on the
// line above the function, or in the first lines of the file.
import ts from 'typescript'
import { isTest, lineOf, walk } from './sources.mjs'

const FILE_MAX = 400
const TEST_FILE_MAX = 500
const FUNCTION_MAX = 60
const COMPONENT_MAX = 150
const WAIVER = /\/\/ size: \S+/

/** Findings of one file as { line, what, fix }. */
export function findOversize(path, source) {
  return [...fileFindings(path, source), ...(isTest(path) ? [] : functionFindings(path, source))]
}

function fileFindings(path, source) {
  const lines = source.text.split('\n').length - 1
  const max = isTest(path) ? TEST_FILE_MAX : FILE_MAX
  const head = source.text.split('\n').slice(0, 10).join('\n')
  if (lines <= max || WAIVER.test(head)) return []
  const fix = isTest(path) ? 'split it by behaviour' : 'split it by noun, or say `// size: why` at its top'
  return [{ line: 1, what: `${lines} lines (at most ${max})`, fix }]
}

function functionFindings(path, source) {
  const max = path.endsWith('.tsx') ? COMPONENT_MAX : FUNCTION_MAX
  const found = []
  walk(source, (node) => {
    if (!ts.isFunctionLike(node) || !node.body) return
    const first = lineOf(source, node)
    const last = source.getLineAndCharacterOfPosition(node.getEnd()).line + 1
    const size = last - first + 1
    if (size <= max || isWaived(source, node)) return
    const fix = 'move its steps into named functions, or say `// size: why` on the line above'
    found.push({ line: first, what: `${nameOf(source, node)} has ${size} lines (at most ${max})`, fix })
  })
  return found
}

/** The waiver may stand above the statement that the function is part of. */
function isWaived(source, node) {
  for (let at = node; at && !ts.isBlock(at) && !ts.isSourceFile(at); at = at.parent) {
    const leading = source.text.slice(at.getFullStart(), at.getStart(source))
    if (WAIVER.test(leading)) return true
  }
  return false
}

function nameOf(source, node) {
  const named = node.name ?? (ts.isVariableDeclaration(node.parent) ? node.parent.name : undefined)
  return named ? named.getText(source) : 'a function'
}
