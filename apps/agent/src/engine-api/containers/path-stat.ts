import type { FileStat } from '@berth/runtime'

/** st_mode's kinds and Go's bits for them (io/fs.FileMode). Not an object: formatters rewrite octal keys, wrongly. */
const KINDS: ReadonlyMap<number, number> = new Map([
  [0o040000, 2 ** 31],
  [0o120000, 2 ** 27],
  [0o060000, 2 ** 26],
  [0o020000, 2 ** 26 + 2 ** 21],
  [0o010000, 2 ** 25],
  [0o140000, 2 ** 24],
])
const SPECIAL: readonly (readonly [number, number])[] = [
  [0o4000, 2 ** 23],
  [0o2000, 2 ** 22],
  [0o1000, 2 ** 20],
]

/** The kernel's mode as Go writes it. */
export function goFileMode(mode: number): number {
  const kind = KINDS.get(mode & 0o170000) ?? 0
  const special = SPECIAL.reduce((sum, [bit, go]) => sum + (mode & bit ? go : 0), 0)
  return kind + special + (mode & 0o777)
}

/** `X-Docker-Container-Path-Stat`: base64 of JSON. */
export function pathStatHeader(stat: FileStat): string {
  const value = {
    name: stat.name,
    size: stat.sizeBytes,
    mode: goFileMode(stat.mode),
    mtime: stat.modifiedAt,
    linkTarget: stat.linkTarget,
  }
  return Buffer.from(JSON.stringify(value)).toString('base64')
}
