import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs'
import { posix } from 'node:path'
import { fault } from '@berth/core'
import { parseIgnoreRules } from '../ignore/ignore-rules.js'
import { compilePattern } from '../ignore/pattern.js'
import type { Selection } from './requests.js'

/** A file of a source tree. Names are latin1, so that every byte of them is kept. */
export interface SelectedEntry {
  /** Below the tree's root, without symlinks on the way; `''` is the root. */
  readonly path: string
  /** Below the target; `''` for a directory whose content is copied. */
  readonly name: string
  readonly stat: Stats
}

/** What one match of one pattern brings. */
export interface SelectedSource {
  readonly isDirectory: boolean
  /** Its own name at the target, with the parents that are kept. */
  readonly name: string
  /** Itself first, then what is below it, parents before children. */
  readonly entries: readonly SelectedEntry[]
}

const SYMLINKS_MAX = 40
const bytes = (path: string): Buffer => Buffer.from(path, 'latin1')
const latin1 = (text: string): string => Buffer.from(text).toString('latin1')
const lstat = (root: string, path: string): Stats | undefined =>
  lstatSync(Buffer.concat([bytes(`${root}/`), bytes(path)]), { throwIfNoEntry: false })

/** Words for what is not there. */
export type MissingSource = (pattern: string) => Error

/**
 * Everything that the patterns of a COPY name below `root` (a host path, latin1), in a fixed order. Symlinks are followed inside the root only,
 * and only in what the pattern itself names (GO-2022-1107). @throws build.source_missing, build.source_outside
 */
export function select(
  root: string,
  { sources, excludes, keepsParents }: Selection,
  ignore: readonly string[],
  missing: MissingSource,
): readonly SelectedSource[] {
  const ignored = matcherOf(ignore)
  const isLeftOut = ignore.length === 0 ? () => false : ignored
  const excluded = matcherOf(excludes)
  const walk: Walk = {
    root,
    skips: (path, name) => isLeftOut(path) || (excludes.length > 0 && name !== '' && excluded(name)),
    mayComeBack: [...ignore, ...excludes].some((rule) => rule.startsWith('!')),
  }
  return sources.flatMap((pattern) => {
    const wanted = cleanSource(latin1(pattern), pattern)
    const found = expand(root, wanted.path)
      .filter((path) => path === '' || !isLeftOut(path))
      .flatMap((path) => selectOne(walk, path, keepsParents ? wanted.pivot : undefined))
    if (found.length === 0 && excludes.length === 0) throw missing(pattern)
    return found
  })
}

const matcherOf = (lines: readonly string[]): ((path: string) => boolean) =>
  parseIgnoreRules(lines.map(latin1).join('\n')).ignores

/** @throws build.source_outside, with docker's words */
function cleanSource(pattern: string, shown: string): { readonly path: string; readonly pivot: number } {
  const relative = posix.normalize(pattern.replace(/^\/+/, '') || '.')
  if (relative === '..' || relative.startsWith('../'))
    throw fault.permissionDenied(
      'build.source_outside',
      `forbidden path outside the build context: ${shown} ()`,
      { params: { path: shown } },
    )
  const path = relative === '.' || relative === './' ? '' : relative.replace(/\/$/, '')
  const at = pattern.indexOf('/./')
  const before = at < 0 ? '' : posix.normalize(pattern.slice(0, at)).replace(/^[./]+/, '')
  return { path, pivot: before === '' ? 0 : before.split('/').length }
}

/** The paths a pattern stands for, as they are written: each component with wildcards is matched against what is there. */
function expand(root: string, pattern: string): readonly string[] {
  if (!/[*?[\\]/.test(pattern)) return [pattern]
  return pattern
    .split('/')
    .reduce<readonly string[]>((found, part) => found.flatMap((dir) => expandPart(root, dir, part)), [''])
}

function expandPart(root: string, dir: string, part: string): readonly string[] {
  const below = (name: string) => (dir === '' ? name : `${dir}/${name}`)
  if (!/[*?[\\]/.test(part)) return [below(part)]
  const matcher = compilePattern(part, { hasDoubleStar: false })
  const real = resolve(root, dir)
  if (real === undefined || !lstat(root, real)?.isDirectory()) return []
  return namesOf(root, real)
    .filter((name) => matcher.matches(name))
    .map(below)
}

const namesOf = (root: string, dir: string): string[] =>
  (readdirSync(bytes(`${root}/${dir}`), 'latin1') as string[]).sort()

interface Walk {
  readonly root: string
  skips(path: string, name: string): boolean
  /** A rule may bring back what is below a directory that is left out. */
  readonly mayComeBack: boolean
}

function selectOne(walk: Walk, path: string, pivot: number | undefined): readonly SelectedSource[] {
  const real = resolve(walk.root, path)
  const stat = real === undefined ? undefined : lstat(walk.root, real)
  if (real === undefined || !stat) return []
  const base = path.slice(path.lastIndexOf('/') + 1)
  const name = pivot === undefined ? base : path.split('/').slice(pivot).join('/')
  const self = { path: real, name: '', stat }
  if (!stat.isDirectory()) {
    if (walk.skips(path, base)) return []
    return [{ isDirectory: false, name, entries: [self] }]
  }
  return [{ isDirectory: true, name, entries: [self, ...below(walk, real, '')] }]
}

function below(walk: Walk, dir: string, prefix: string): readonly SelectedEntry[] {
  return namesOf(walk.root, dir).flatMap((child) => {
    const path = dir === '' ? child : `${dir}/${child}`
    const name = prefix === '' ? child : `${prefix}/${child}`
    const stat = lstat(walk.root, path)
    if (!stat) return []
    const isSkipped = walk.skips(path, name)
    if (!stat.isDirectory()) return isSkipped ? [] : [{ path, name, stat }]
    if (isSkipped && !walk.mayComeBack) return []
    const content = below(walk, path, name)
    return isSkipped && content.length === 0 ? [] : [{ path, name, stat }, ...content]
  })
}

/** The path without symlinks, each followed inside the root; undefined when something on the way is missing. */
export function resolve(root: string, path: string): string | undefined {
  let rest = path.split('/').filter((part) => part !== '' && part !== '.')
  let found: string[] = []
  for (let links = 0; rest.length > 0; ) {
    const [part = '', ...more] = rest
    rest = more
    if (part === '..') {
      found = found.slice(0, -1)
      continue
    }
    const next = [...found, part]
    const stat = lstat(root, next.join('/'))
    if (!stat) return undefined
    if (!stat.isSymbolicLink()) {
      found = next
      continue
    }
    links += 1
    if (links > SYMLINKS_MAX) return undefined
    const target = readlinkSync(bytes(`${root}/${next.join('/')}`), 'latin1')
    rest = [...target.split('/').filter((piece) => piece !== '' && piece !== '.'), ...rest]
    if (target.startsWith('/')) found = []
  }
  return found.join('/')
}
