import * as fs from 'node:fs'
import { posix } from 'node:path'
import { errnoOf } from '../../files/failures.js'
import { removeTree } from '../../files/tree-remover.child.js'
import { O_DIRECTORY, O_PATH, openBelow, RESOLVE } from '../../host/confined.js'

/** What is not there, or is reached through a link, is nothing of the directory's own. */
const NOT_THERE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV'])

/** Removes paths (latin1) below a directory, each with all that is in it; no link is followed on the way. */
export function removeBelow(directory: string, paths: readonly string[]): void {
  if (paths.length === 0) return
  const top = fs.openSync(directory, O_PATH | O_DIRECTORY)
  try {
    for (const path of paths) removeOne(top, path)
  } finally {
    process.chdir('/')
    fs.closeSync(top)
  }
}

function removeOne(top: number, path: string): void {
  const parent = Buffer.from(posix.dirname(path), 'latin1')
  try {
    const fd = openBelow(top, parent, O_DIRECTORY, RESOLVE.beneath | RESOLVE.noSymlinks)
    try {
      removeTree(fd, Buffer.from(posix.basename(path), 'latin1'))
    } finally {
      fs.closeSync(fd)
    }
  } catch (error) {
    if (!NOT_THERE.has(errnoOf(error) ?? '')) throw error
  }
}
