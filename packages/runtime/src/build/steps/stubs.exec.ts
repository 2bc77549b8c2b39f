import { chmodSync, lchownSync, lstatSync, mkdirSync, type Stats, utimesSync, writeFileSync } from 'node:fs'
import { posix } from 'node:path'

/** A place something is mounted on: followed inside the root, so none of its parents that exist is a symlink. */
export interface MountPlace {
  readonly path: string
  readonly isFile: boolean
}

const lstat = (path: string): Stats | undefined => lstatSync(path, { throwIfNoEntry: false })

/** Those that the root does not have. */
export const missingPlaces = (rootfs: string, places: readonly MountPlace[]): readonly MountPlace[] =>
  places.filter(({ path }) => !lstat(`${rootfs}${path}`))

/**
 * Makes a lower layer that has the missing mount points and nothing else. So they are never in the layer that a step writes, and nobody has to
 * take them away again (CVE-2024-23652). Directories on the way look as they do in the root.
 */
export function writeStubs(layer: string, rootfs: string, places: readonly MountPlace[]): void {
  mkdirSync(layer, { mode: 0o755 })
  likeBelow(layer, lstat(rootfs))
  const made = new Set<string>()
  for (const { path, isFile } of places) {
    const parts = path.split('/').filter(Boolean)
    const dirs = (isFile ? parts.slice(0, -1) : parts).map(
      (_, index) => `/${parts.slice(0, index + 1).join('/')}`,
    )
    for (const dir of dirs) {
      if (made.has(dir)) continue
      made.add(dir)
      mkdirSync(`${layer}${dir}`, { recursive: true, mode: 0o755 })
    }
    if (isFile) writeFileSync(`${layer}${posix.join('/', ...parts)}`, '', { mode: 0o644 })
  }
  for (const dir of [...made].sort().reverse()) likeBelow(`${layer}${dir}`, lstat(`${rootfs}${dir}`))
  likeBelow(layer, lstat(rootfs))
}

function likeBelow(path: string, below: Stats | undefined): void {
  if (!below?.isDirectory()) return
  lchownSync(path, below.uid, below.gid)
  chmodSync(path, below.mode & 0o7777)
  utimesSync(path, below.atimeMs / 1000, below.mtimeMs / 1000)
}
