import { createHash } from 'node:crypto'
import { readlinkSync, type Stats } from 'node:fs'
import { readXattrs } from '../../host/confined.js'
import type { SelectedEntry, SelectedSource } from './select.exec.js'

/** sha256 of a file's content, as hex. */
export type FileDigest = (path: Buffer, stat: Stats) => string | Promise<string>

/**
 * What a COPY brings, as one checksum: names, kinds, modes, owners where they count, contents, link targets, attributes and which files are one
 * file with several names. Times do not count.
 */
export async function digestSelection(
  root: string,
  sources: readonly SelectedSource[],
  fileDigest: FileDigest,
): Promise<string> {
  const hash = createHash('sha256')
  const firstNames = new Map<string, string>()
  for (const source of sources) {
    hash.update(`source ${source.isDirectory ? 'directory' : 'file'} ${source.name}\0`, 'latin1')
    for (const entry of source.entries)
      hash.update(
        `${await describe(root, entry, `${source.name}\0${entry.name}`, firstNames, fileDigest)}\0`,
        'latin1',
      )
  }
  return `sha256:${hash.digest('hex')}`
}

async function describe(
  root: string,
  { path, name, stat }: SelectedEntry,
  fullName: string,
  firstNames: Map<string, string>,
  fileDigest: FileDigest,
): Promise<string> {
  const at = Buffer.from(`${root}/${path}`, 'latin1')
  if (stat.isSymbolicLink()) return `link ${name} ${readlinkSync(at, 'latin1')}`
  const attributes = readXattrs(at)
    .filter(([key]) => !/^(?:trusted|user)\.overlay\.|^security\.(?:selinux|ima|evm)$/.test(key))
    .map(([key, value]) => `${key}=${value.toString('base64')}`)
    .sort()
  const common = `${(stat.mode & 0o7777).toString(8)} ${name} ${attributes.join(',')}`
  if (stat.isDirectory()) return `directory ${common}`
  if (!stat.isFile()) return `node ${stat.mode} ${stat.rdev} ${common}`
  const key = `${stat.dev}:${stat.ino}`
  const first = stat.nlink > 1 ? firstNames.get(key) : undefined
  if (first !== undefined) return `same ${first} ${name}`
  if (stat.nlink > 1) firstNames.set(key, fullName)
  return `file ${common} ${stat.size} ${await fileDigest(at, stat)}`
}
