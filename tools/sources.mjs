// Which files the repo's own rules look at, parsed once. Plain JavaScript: the rules run before the build.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export const REPO = join(dirname(fileURLToPath(import.meta.url)), '..')

const GENERATED = /(^|\/)(gen|dist|\.next|generated)\//

export const isTest = (path) => /\.test\.tsx?$|(^|\/)testing\/|^e2e\//.test(path)

/** Committed files and those about to be, without generated ones. */
export function listSources(pattern = /\.tsx?$/) {
  const output = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: REPO,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  return [...new Set(output.split('\0'))]
    .filter((path) => pattern.test(path) && !GENERATED.test(path) && !path.endsWith('.d.ts'))
    .filter((path) => existsSync(join(REPO, path)))
    .sort()
}

export const parse = (path, text) =>
  ts.createSourceFile(
    path,
    text,
    ts.ScriptTarget.Latest,
    true,
    path.endsWith('x') ? ts.ScriptKind.TSX : ts.ScriptKind.TS,
  )

export const readSource = (path) => parse(path, readFileSync(join(REPO, path), 'utf8'))

export const lineOf = (source, node) => source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1

/** Calls `visit` for every node below `node`. */
export function walk(node, visit) {
  visit(node)
  ts.forEachChild(node, (child) => walk(child, visit))
}
