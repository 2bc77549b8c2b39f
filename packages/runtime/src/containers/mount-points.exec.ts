import { lstatSync, mkdirSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fault } from '@berth/core'
import type { MountedPoint } from '../api.js'
import { mountOf, mountPoints } from '../oci/mount-table.js'
import { cleanTarget, type PlacedMount } from '../oci/mounts.js'
import { resolveInRoot } from './rootfs.exec.js'

export interface Placement {
  readonly mounts: readonly PlacedMount[]
  /** The working directory, every symlink of the root followed, made if it lies in the root itself. */
  workdir(path: string): string
}

/** Directories that are the container's own: their mounts are made by the OCI runtime, nothing of the image is left under them. */
const OURS = ['/dev', '/proc', '/sys']
const isIn = (dir: string, path: string): boolean => path === dir || path.startsWith(`${dir}/`)
const refused = (why: string) => fault.invalidArgument('container.mount_refused', why)

/**
 * Follows each target inside the root, where an image may have put symlinks, and makes the mount points that are missing.
 * @throws container.mount_refused, container.path_refused
 */
export function placeMounts(rootfs: string, wanted: readonly MountedPoint[]): Placement {
  // With a thousand containers the table has a thousand lines and more, and hardly anybody asks for it.
  const table = wanted.some((mount) => mount.type === 'bind' && mount.propagation)
    ? mountPoints(readFileSync('/proc/self/mountinfo', 'utf8'))
    : []
  const mounts = wanted.map((mount) => ({
    mount,
    destination: destinationOf(rootfs, mount.target),
    isFile: isFileSource(mount, table),
  }))
  assertDistinct(mounts)
  for (const { destination, isFile } of [...mounts].sort(
    (a, b) => a.destination.length - b.destination.length,
  )) {
    const isCovered = mounts.some(
      (other) => other.destination !== destination && isIn(other.destination, destination),
    )
    if (!isCovered && !OURS.some((dir) => isIn(dir, destination)))
      makePoint(`${rootfs}${destination}`, isFile)
  }
  return { mounts, workdir: (path) => placeWorkdir(rootfs, mounts, path) }
}

function destinationOf(rootfs: string, target: string): string {
  const clean = cleanTarget(target)
  if (['/proc', '/sys'].some((dir) => isIn(dir, clean) && dir !== clean)) return clean
  const followed = resolveInRoot(rootfs, clean).slice(rootfs.length) || '/'
  if (followed === '/' || OURS.includes(followed))
    throw refused(
      `invalid specification: destination can't be '${followed}' (${target}): it is the container's own`,
    )
  return followed
}

function assertDistinct(mounts: readonly PlacedMount[]): void {
  const seen = new Map<string, string>()
  for (const { mount, destination } of mounts) {
    const other = seen.get(destination)
    if (other !== undefined)
      throw refused(`duplicate mount point: ${mount.target} and ${other} are the same place in the image`)
    seen.set(destination, mount.target)
  }
}

/** Whether a bind is of a file. @throws container.mount_refused when the source is missing or cannot be shared as asked */
function isFileSource(mount: MountedPoint, table: ReturnType<typeof mountPoints>): boolean {
  if (mount.type === 'tmpfs') return false
  const source = mount.hostPath ?? mount.source ?? ''
  const stat = statSync(source, { throwIfNoEntry: false })
  if (!stat)
    throw refused(
      `invalid mount config for type "${mount.type}": ${mount.type} source path does not exist: ${source}`,
    )
  if (mount.type === 'bind' && mount.propagation) assertPropagation(mount.source, mount.propagation, table)
  return !stat.isDirectory()
}

function assertPropagation(source: string, wanted: string, table: ReturnType<typeof mountPoints>): void {
  const on = mountOf(realpathSync(source), table)
  const kind = on?.propagation ?? 'private'
  if (wanted.endsWith('shared') && kind !== 'shared')
    throw refused(`path ${source} is mounted on ${on?.target ?? '/'} but it is not a shared mount`)
  if (wanted.endsWith('slave') && kind === 'private')
    throw refused(`path ${source} is mounted on ${on?.target ?? '/'} but it is not a shared or slave mount`)
}

/** `path` has been followed: none of its parts that exist is a symlink. */
function makePoint(path: string, isFile: boolean): void {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat) {
    if (stat.isDirectory() === isFile)
      throw refused(
        `cannot mount a ${isFile ? 'file' : 'directory'} onto the ${isFile ? 'directory' : 'file'} ${path}: are you trying to mount a directory onto a file (or vice-versa)?`,
      )
    return
  }
  mkdirSync(isFile ? posix.dirname(path) : path, { recursive: true, mode: 0o755 })
  if (isFile) writeFileSync(path, '', { mode: 0o644 })
}

function placeWorkdir(rootfs: string, mounts: readonly PlacedMount[], path: string): string {
  const followed = resolveInRoot(rootfs, path).slice(rootfs.length) || '/'
  const isMounted = mounts.some(({ destination }) => isIn(destination, followed))
  if (!isMounted && !isIn('/dev', followed))
    mkdirSync(`${rootfs}${followed}`, { recursive: true, mode: 0o755 })
  return followed
}
