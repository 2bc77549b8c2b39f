import * as fs from 'node:fs'
import { changeDirectory, O_DIRECTORY, O_NOFOLLOW } from '../host/confined.js'

/** Removes a name of a directory with all that is below it, stepping by descriptors and following nothing. */
export function removeTree(directory: number, base: Buffer): void {
  changeDirectory(directory)
  const stat = fs.lstatSync(base, { throwIfNoEntry: false })
  if (!stat) return
  if (!stat.isDirectory()) return fs.unlinkSync(base)
  const fd = fs.openSync(base, O_DIRECTORY | O_NOFOLLOW)
  try {
    changeDirectory(fd)
    for (const name of fs.readdirSync('.', 'latin1')) removeTree(fd, Buffer.from(name, 'latin1'))
  } finally {
    fs.closeSync(fd)
  }
  changeDirectory(directory)
  fs.rmdirSync(base)
}

/** Bytes on the disk of a directory and all below it, each file once; what vanishes meanwhile is not counted. */
export function sizeOfTree(path: string): number {
  const seen = new Set<string>()
  const root = openQuietly(path)
  if (root === undefined) return 0
  const size = sizeBelow(root, seen)
  fs.closeSync(root)
  return size
}

function sizeBelow(directory: number, seen: Set<string>): number {
  changeDirectory(directory)
  let size = 0
  for (const name of fs.readdirSync('.', 'latin1')) {
    changeDirectory(directory)
    const base = Buffer.from(name, 'latin1')
    const stat = fs.lstatSync(base, { throwIfNoEntry: false })
    if (!stat) continue
    if (stat.isDirectory()) {
      const below = openQuietly(base)
      if (below === undefined) continue
      size += sizeBelow(below, seen)
      fs.closeSync(below)
    } else size += countOnce(stat, seen)
  }
  return size
}

function countOnce(stat: fs.Stats, seen: Set<string>): number {
  const key = `${stat.dev}:${stat.ino}`
  if (stat.nlink > 1 && seen.has(key)) return 0
  if (stat.nlink > 1) seen.add(key)
  return stat.size
}

function openQuietly(path: string | Buffer): number | undefined {
  try {
    return fs.openSync(path, O_DIRECTORY | O_NOFOLLOW)
  } catch {
    return undefined
  }
}

export const isEmptyDirectory = (directory: number): boolean => {
  changeDirectory(directory)
  return fs.readdirSync('.').length === 0
}
