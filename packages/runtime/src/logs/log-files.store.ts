import {
  existsSync,
  linkSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname } from 'node:path'

/**
 * The files of one container's log. `log` is the one the monitor writes; `log.N` are names of our own for it and for those before it, higher
 * is later (not each number is used). The monitor rotates by opening `log.tmp` and renaming it over `log`, which drops the old file unless it has another name: so the
 * next file is made beforehand, as `log.tmp` and `log.N+1`, and the monitor takes that one. It may rotate twice before we have looked and
 * still nothing is lost.
 */
export interface LogFile {
  readonly path: string
  readonly number: number
  readonly inode: number
  readonly size: number
}

const numberOf = (name: string, base: string): number =>
  name.startsWith(`${base}.`) && /^\d{1,15}$/.test(name.slice(base.length + 1))
    ? Number(name.slice(base.length + 1))
    : -1

/** Every file with a name of ours, by number; several names of one file count once. */
function namedFiles(log: string): readonly LogFile[] {
  const dir = dirname(log)
  const files = (existsSync(dir) ? readdirSync(dir) : [])
    .map((name) => ({ path: `${dir}/${name}`, number: numberOf(name, basename(log)) }))
    .filter(({ number }) => number >= 0)
    .map((file) => ({ ...file, ...sizeOf(file.path) }))
    .filter(({ inode }) => inode !== 0)
    .sort((a, b) => a.number - b.number)
  return files.filter(({ inode }, at) => !files.slice(at + 1).some((later) => later.inode === inode))
}

/** All that are there, the oldest first and the current one last; the one that will come next is left out. */
export function logFiles(log: string): readonly LogFile[] {
  const stat = statSync(log, { throwIfNoEntry: false })
  const next = inodeOf(`${log}.tmp`)
  const known = namedFiles(log).filter(({ inode }) => inode !== next)
  if (!stat) return known
  const at = known.findIndex(({ inode }) => inode === stat.ino)
  // What has a higher number than the current file was made for a rotation by one who was killed before it was ready, or is current now.
  if (at >= 0) return known.slice(0, at + 1)
  return [...known, { path: log, number: (known.at(-1)?.number ?? 0) + 1, inode: stat.ino, size: stat.size }]
}

const sizeOf = (path: string) => {
  const stat = statSync(path, { throwIfNoEntry: false })
  return { inode: stat?.ino ?? 0, size: stat?.size ?? 0 }
}

export const inodeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.ino

export function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Before a run: the log goes on where it was, in a new file when the current one has used half its size. */
export function prepareLog(log: string, filesMax: number, maxBytes: number): void {
  settleLog(log)
  writeFileSync(log, '', { mode: 0o600, flag: 'a' })
  keepLog(log, filesMax)
  if (statSync(log).size <= maxBytes / 2) return
  renameSync(`${log}.tmp`, log)
  keepLog(log, filesMax)
}

/**
 * Names the current file, makes the next one and drops those too many. Idempotent; to be called after each rotation. The monitor may rotate
 * between any two of these steps: no name of a file that could be in use is ever taken away.
 */
export function keepLog(log: string, filesMax: number): void {
  if (!existsSync(log)) return
  nameCurrent(log)
  if (!existsSync(`${log}.tmp`)) makeNext(log)
  const files = logFiles(log)
  // Rotated since it was named: the next call sees it.
  if (files.at(-1)?.path === log) return
  const old = files.slice(0, -1)
  const written = old.filter(({ size }) => size > 0)
  const kept = new Set(written.slice(Math.max(0, written.length - filesMax + 1)))
  for (const file of old) if (!kept.has(file)) rmSync(file.path, { force: true })
}

/** A file that is current and has no name was made by the monitor, because none was ready for it: after all others, before the next one. */
function nameCurrent(log: string): void {
  const files = namedFiles(log)
  const current = inodeOf(log)
  if (files.some(({ inode }) => inode === current)) return
  const next = inodeOf(`${log}.tmp`)
  const ready = files.find(({ inode }) => inode === next)
  linkUnlessThere(log, `${log}.${ready ? ready.number - 1 : numberAfter(files)}`)
}

function makeNext(log: string): void {
  const next = `${log}.${numberAfter(namedFiles(log))}`
  writeFileSync(next, '', { mode: 0o600, flag: 'wx' })
  // When the monitor is rotating at this very moment, with a file of its own, that one is named when it is seen.
  if (!linkUnlessThere(next, `${log}.tmp`)) rmSync(next, { force: true })
}

/** An even number with the odd one below it free. */
function numberAfter(files: readonly LogFile[]): number {
  const last = files.at(-1)?.number ?? 0
  return last + 2 + (last % 2)
}

function linkUnlessThere(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** After a run: what was made for a rotation that will not come. Idempotent. */
export function settleLog(log: string): void {
  const next = inodeOf(`${log}.tmp`)
  if (next === undefined) return
  for (const { inode, path } of namedFiles(log)) if (inode === next) rmSync(path, { force: true })
  rmSync(`${log}.tmp`, { force: true })
}
