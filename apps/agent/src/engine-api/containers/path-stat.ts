import type { FileStat } from '@berth/runtime'

/** st_mode's kinds and Go's bits for them (io/fs.FileMode). */
const KINDS: Readonly<Record<number, number>> = {
  9604: 2 ** 31,
  21609: 2 ** 27,
  14406: 2 ** 26,
  4802: 2 ** 26 + 2 ** 21,
  2401: 2 ** 25,
  26411: 2 ** 24,
}
const SPECIAL: readonly (readonly [number, number])[] = [
  [0o4000, 2 ** 23],
  [0o2000, 2 ** 22],
  [0o1000, 2 ** 20],
]

/** The kernel's mode as Go writes it. */
export function goFileMode(mode: number): number {
  const kind = KINDS[mode & 0o170000] ?? 0
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
