import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { readXattrs } from '../host/confined.js'

/** Everything about a tree that a copy must keep, one line for each entry, sorted; hard links by the first of their names. */
export function describeTree(root: string): readonly string[] {
  const firstNames = new Map<bigint, string>()
  const lines: string[] = []
  const visit = (path: Buffer, name: string): void => {
    const stat = lstatSync(path, { bigint: true })
    const kind = (stat.mode & 0o170000n).toString(8)
    const first = stat.nlink > 1n && !stat.isDirectory() ? firstNames.get(stat.ino) : undefined
    firstNames.set(stat.ino, first ?? name)
    const xattrs = readXattrs(path)
      .map(([key, value]) => `${key}=${value.toString('hex')}`)
      .sort()
    const what = stat.isFile()
      ? createHash('sha256').update(readFileSync(path)).digest('hex')
      : stat.isSymbolicLink()
        ? readlinkSync(path, 'latin1')
        : stat.rdev
    const mode = (stat.mode & 0o7777n).toString(8)
    lines.push([name, kind, mode, stat.uid, stat.gid, stat.mtimeNs, first ?? '', what, ...xattrs].join(' '))
    if (!stat.isDirectory()) return
    for (const child of readdirSync(path, 'latin1').sort())
      visit(Buffer.concat([path, Buffer.from('/'), Buffer.from(child, 'latin1')]), `${name}/${child}`)
  }
  visit(Buffer.from(root), '.')
  return lines
}
