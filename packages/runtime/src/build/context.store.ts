import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { join, posix, relative, sep } from 'node:path'
import { fault } from '@berth/core'

/** A file of the build context, by its path inside it. */
export interface ContextEntry {
  readonly path: string
  readonly type: 'file' | 'directory' | 'symlink'
  readonly mode: number
  readonly linkTarget: string
  readonly hostPath: string
  readonly sizeBytes: number
}

/** The build context: nothing outside its directory can be named, symlinks that lead out included. */
export class BuildContext {
  private readonly root: string
  private readonly ignored: (path: string) => boolean

  constructor(dir: string) {
    this.root = realpathSync(dir)
    this.ignored = readIgnore(this.root)
  }

  /** A file's text; a symlink may stand for it as long as it stays inside. @throws build.source_missing, build.source_outside */
  readText(path: string): string {
    return readFileSync(this.realInside(path, this.inside(path)), 'utf8')
  }

  /** Everything a COPY source names: globs are expanded; a directory comes with all that is below it. @throws build.source_missing */
  select(
    pattern: string,
  ): readonly { readonly base: ContextEntry; readonly entries: readonly ContextEntry[] }[] {
    const clean = posix.normalize(`/${pattern}`).slice(1).replace(/\/$/, '')
    const bases = /[*?[]/.test(clean) ? this.glob(clean) : [clean]
    const found = bases
      .filter((path) => path === '' || !this.ignored(path))
      .map((path) => ({ base: this.entry(path), entries: this.below(path) }))
    if (found.length === 0) throw missing(pattern)
    return found
  }

  private glob(pattern: string): readonly string[] {
    const dir = posix.dirname(pattern) === '.' ? '' : posix.dirname(pattern)
    const matcher = globToRegExp(posix.basename(pattern))
    return readdirSync(this.inside(dir))
      .filter((name) => matcher.test(name))
      .sort()
      .map((name) => posix.join(dir, name))
  }

  private below(path: string): readonly ContextEntry[] {
    const base = this.entry(path)
    if (base.type !== 'directory') return []
    return readdirSync(base.hostPath)
      .sort()
      .map((name) => posix.join(path, name))
      .filter((child) => !this.ignored(child))
      .flatMap((child) => [this.entry(child), ...this.below(child)])
  }

  private entry(path: string): ContextEntry {
    const hostPath = this.inside(path)
    const stat = lstatSync(hostPath)
    const type = stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'symlink' : 'file'
    if (type === 'file' && !stat.isFile())
      throw fault.invalidArgument('build.source_invalid', `${path} is neither file, directory nor symlink`)
    return {
      path,
      type,
      mode: stat.mode & 0o7777,
      linkTarget: type === 'symlink' ? readlinkSync(hostPath) : '',
      hostPath,
      sizeBytes: type === 'file' ? stat.size : 0,
    }
  }

  /** The host path, once the real path of its directory is known to lie inside (GO-2022-1107). */
  private inside(path: string): string {
    const host = join(this.root, path)
    this.realInside(path, path === '' ? host : join(host, '..'))
    if (!lstatSync(host, { throwIfNoEntry: false })) throw missing(path)
    return host
  }

  private realInside(path: string, host: string): string {
    let real: string
    try {
      real = realpathSync(host)
    } catch {
      throw missing(path)
    }
    const offset = relative(this.root, real)
    if (offset === '..' || offset.startsWith(`..${sep}`))
      throw fault.permissionDenied('build.source_outside', `${path} leads out of the build context`)
    return real
  }
}

const missing = (path: string) =>
  fault.notFound(
    'build.source_missing',
    `COPY source ${path} is not in the build context (or .dockerignore excludes it)`,
    { params: { path } },
  )

function readIgnore(root: string): (path: string) => boolean {
  const file = join(root, '.dockerignore')
  const text = lstatSync(file, { throwIfNoEntry: false })?.isFile() ? readFileSync(file, 'utf8') : ''
  const rules = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({
      keep: line.startsWith('!'),
      matcher: globToRegExp(
        posix.normalize(line.replace(/^!/, '').replace(/^\//, '')).replace(/\/$/, ''),
        '(?:/.*)?',
      ),
    }))
  return (path) => rules.reduce((ignored, rule) => (rule.matcher.test(path) ? !rule.keep : ignored), false)
}

/** docker's patterns: `*` and `?` within a name, `**` across directories. */
export function globToRegExp(glob: string, tail = ''): RegExp {
  const source = glob.replace(/\*\*\/?|[*?]|\[[^\]/]*\]|[.+^${}()|\\[\]]/g, (part) => {
    if (part === '**/') return '(?:[^/]+/)*'
    if (part === '**') return '.*'
    if (part === '*') return '[^/]*'
    if (part === '?') return '[^/]'
    return part.length > 1 ? part : `\\${part}`
  })
  return new RegExp(`^${source}${tail}$`)
}
