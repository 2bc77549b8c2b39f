import * as fs from 'node:fs'
import { posix } from 'node:path'
import { changeDirectory, O_DIRECTORY, O_PATH, openBelow } from '../host/confined.js'
import { requestedPath } from './requested-path.js'
import type { RawStat } from './requests.js'
import { IN_ROOT } from './root-view.child.js'

/** A place in the root, held by a descriptor of its directory. */
export interface Located {
  readonly directory: number
  readonly base: Buffer | undefined
  readonly name: string
}

const SYMLINKS_MAX = 40

/** Opens below the present root, following symlinks inside it only. */
export function openInRoot(path: string, flags: number): number {
  const root = fs.openSync('/', O_PATH | O_DIRECTORY)
  try {
    return openBelow(root, Buffer.from(path === '' ? '.' : path), flags, IN_ROOT)
  } finally {
    fs.closeSync(root)
  }
}

export function locate(path: string): Located {
  const wanted = requestedPath(path)
  const directory = openInRoot(wanted.directory, O_PATH | O_DIRECTORY)
  const base = wanted.base === undefined ? undefined : Buffer.from(wanted.base)
  return { directory, base, name: wanted.name }
}

/** `procFds` is the host's /proc/self/fd, opened before the root was entered. */
export function statOf({ directory, base, name }: Located, procFds: number): RawStat {
  changeDirectory(directory)
  const stat = fs.lstatSync(base ?? '.')
  const linkTarget = stat.isSymbolicLink() && base ? targetOf(directory, base, procFds) : ''
  return { name, sizeBytes: stat.size, mode: stat.mode, modifiedAtMs: stat.mtimeMs, linkTarget }
}

/** Where the symlink ends, every further one followed; as far as its own words go when there is nothing. */
function targetOf(directory: number, base: Buffer, procFds: number): string {
  let at = pathOf(directory, procFds)
  changeDirectory(directory)
  let target = fs.readlinkSync(base, 'utf8')
  for (let links = 0; links < SYMLINKS_MAX; links++) {
    const next = posix.resolve(at, target)
    try {
      const fd = openInRoot(next.slice(1), O_PATH)
      const found = pathOf(fd, procFds)
      fs.closeSync(fd)
      return found
    } catch {
      at = posix.dirname(next)
      const further = linkAt(next)
      if (further === undefined) return next
      target = further
    }
  }
  return posix.resolve(at, target)
}

function linkAt(path: string): string | undefined {
  try {
    const parent = openInRoot(posix.dirname(path).slice(1), O_PATH | O_DIRECTORY)
    changeDirectory(parent)
    fs.closeSync(parent)
    return fs.readlinkSync(posix.basename(path), 'utf8')
  } catch {
    return undefined
  }
}

function pathOf(fd: number, procFds: number): string {
  changeDirectory(procFds)
  return fs.readlinkSync(String(fd), 'utf8')
}
