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
 * is later. The monitor rotates by opening `log.tmp` and renaming it over `log`, which drops the old file unless it has another name: so the
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

/** All that are there, the oldest first; the one that will come next is left out. */
export function logFiles(log: string): readonly LogFile[] {
  const dir = dirname(log)
  const base = basename(log)
  const stat = statSync(log, { throwIfNoEntry: false })
  const current = stat?.ino
  const next = inodeOf(`${log}.tmp`)
  const known = (existsSync(dir) ? readdirSync(dir) : [])
    .map((name) => ({ path: `${dir}/${name}`, number: numberOf(name, base) }))
    .filter(({ number }) => number >= 0)
    .map((file) => ({ ...file, ...sizeOf(file.path) }))
    .filter(({ inode }) => inode !== 0 && inode !== next)
    .sort((a, b) => a.number - b.number)
  if (!stat) return known
  const at = known.findIndex(({ inode }) => inode === current)
  // What has a higher number than the current file was made for a rotation by one who was killed before it was ready.
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
  rmSync(`${log}.tmp`, { force: true })
  writeFileSync(log, '', { mode: 0o600, flag: 'a' })
  keepLog(log, filesMax)
  if (statSync(log).size <= maxBytes / 2) return
  renameSync(`${log}.tmp`, log)
  keepLog(log, filesMax)
}

/** Names the current file, drops those too many and makes the next one. Idempotent; to be called after each rotation. */
export function keepLog(log: string, filesMax: number): void {
  if (!existsSync(log)) return
  const files = logFiles(log)
  const current = files.at(-1)
  if (!current) return
  if (current.path === log) linkSync(log, `${log}.${current.number}`)
  for (const file of files.slice(0, Math.max(0, files.length - filesMax))) rmSync(file.path, { force: true })
  if (!existsSync(`${log}.tmp`)) makeNext(log, `${log}.${current.number + 1}`)
}

function makeNext(log: string, next: string): void {
  rmSync(next, { force: true })
  writeFileSync(next, '', { mode: 0o600, flag: 'wx' })
  try {
    linkSync(next, `${log}.tmp`)
  } catch (error) {
    // The monitor is rotating at this very moment, with a file of its own that is named when it is seen.
    rmSync(next, { force: true })
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** After a run: what was made for a rotation that will not come. Idempotent. */
export function settleLog(log: string): void {
  const current = logFiles(log).at(-1)
  if (inodeOf(`${log}.tmp`) === undefined || !current) return
  rmSync(`${log}.${current.number + 1}`, { force: true })
  rmSync(`${log}.tmp`, { force: true })
}
