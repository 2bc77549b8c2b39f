import * as fs from 'node:fs'
import { changeDirectory, O_DIRECTORY, O_NOFOLLOW, openBelow, RESOLVE, readXattrs } from '../host/confined.js'
import { nameBelow } from './requested-path.js'
import type { RawChange } from './requests.js'
import type { TreeReader } from './tree-reader.child.js'

const HERE = Buffer.from('.')
const FLAGS = O_DIRECTORY | O_NOFOLLOW

/**
 * What an overlay's upper directory changes in the layers below, parents before children. As docker has it, a directory is changed when
 * anything in it is, whatever its own attributes say. `isStrict` counts every file that was copied up, even when nothing about it differs.
 */
export class ChangeWalk {
  readonly changes: RawChange[] = []

  constructor(private readonly isStrict: boolean) {}

  /** `lower` is undefined where the layers have no such directory. */
  directory(upper: number, lower: number | undefined, path: string): void {
    changeDirectory(upper)
    const names = fs.readdirSync('.', 'latin1')
    const hidden = lower === undefined || !isOpaque() ? [] : namesIn(lower)
    for (const name of [...new Set([...names, ...hidden])].sort()) {
      const base = Buffer.from(name, 'latin1')
      const before = lower === undefined ? undefined : lstatIn(lower, base)
      const after = lstatIn(upper, base)
      const at = `${path}/${name}`
      if (after && !isWhiteout(after)) this.entry(upper, lower, base, at, before, after)
      else if (before)
        this.changes.push({ kind: 'deleted', path: at, isDirectory: before.isDirectory(), sizeBytes: 0 })
    }
  }

  private entry(
    upper: number,
    lower: number | undefined,
    base: Buffer,
    path: string,
    before: fs.Stats | undefined,
    after: fs.Stats,
  ): void {
    const change = { path, isDirectory: after.isDirectory(), sizeBytes: after.size }
    const kind = before ? 'modified' : 'added'
    if (!after.isDirectory()) {
      if (!before || this.isStrict || differs(before, after)) this.changes.push({ ...change, kind })
      return
    }
    const at = this.changes.length
    const below = openIn(upper, base)
    if (below === undefined) return
    const lowerBelow = before?.isDirectory() && lower !== undefined ? openIn(lower, base) : undefined
    this.directory(below, lowerBelow, path)
    fs.closeSync(below)
    if (lowerBelow !== undefined) fs.closeSync(lowerBelow)
    if (!before || differs(before, after) || this.changes.length > at)
      this.changes.splice(at, 0, { ...change, kind })
  }
}

/** The changes as a layer's archive. Names below what is deleted are never in it. */
export function writeLayer(upper: number, changes: readonly RawChange[], reader: TreeReader): void {
  for (const { kind, path, isDirectory } of changes) {
    const slash = path.lastIndexOf('/')
    const parent = path.slice(1, Math.max(slash, 1))
    const base = path.slice(slash + 1)
    if (kind === 'deleted') {
      reader.mark(nameBelow(parent, `.wh.${base}`))
      continue
    }
    const at = Buffer.from(isDirectory ? path.slice(1) : parent || '.', 'latin1')
    const fd = openBelow(upper, at, FLAGS, RESOLVE.beneath | RESOLVE.noSymlinks)
    if (isDirectory) reader.self(fd, path.slice(1))
    else reader.single(fd, Buffer.from(base, 'latin1'), path.slice(1))
    fs.closeSync(fd)
    reader.forgetPlace()
  }
  reader.finish()
}

const isWhiteout = (stat: fs.Stats): boolean => stat.isCharacterDevice() && stat.rdev === 0

/** Of the working directory. */
const isOpaque = (): boolean =>
  readXattrs(HERE).some(([key, value]) => key === 'trusted.overlay.opaque' && value.toString() === 'y')

function namesIn(directory: number): readonly string[] {
  changeDirectory(directory)
  return fs.readdirSync('.', 'latin1')
}

function lstatIn(directory: number, base: Buffer): fs.Stats | undefined {
  changeDirectory(directory)
  return fs.lstatSync(base, { throwIfNoEntry: false })
}

function openIn(directory: number, base: Buffer): number | undefined {
  changeDirectory(directory)
  try {
    return fs.openSync(base, FLAGS)
  } catch {
    return undefined
  }
}

/** A directory's size and times say nothing about it. */
function differs(before: fs.Stats, after: fs.Stats): boolean {
  if (before.mode !== after.mode || before.uid !== after.uid || before.gid !== after.gid) return true
  if (after.isDirectory()) return false
  return before.rdev !== after.rdev || before.size !== after.size || before.mtimeMs !== after.mtimeMs
}
