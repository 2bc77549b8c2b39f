import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { fault } from '@berth/core'
import type { ContainerSpec } from '../api.js'
import { MNT_DETACH, mount, umount } from '../host/libc.js'
import { mountPoints } from '../oci/mount-table.js'
import type { ContainerPaths } from './paths.js'

const SHM_BYTES = 64 * 1024 * 1024
const MS_NOSUID = 2
const MS_NODEV = 4
const MS_NOEXEC = 8

const pathOf = (paths: ContainerPaths): string => `${paths.bundle}/shm`

/**
 * The directory of the host that becomes /dev/shm where it is shared between containers: made for a `shareable` one, found for one that joins it.
 * Undefined: the container makes its own. @throws container.ipc_not_shareable
 */
export function sharedMemory(
  spec: ContainerSpec,
  paths: ContainerPaths,
  joinedIpc: string | undefined,
): string | undefined {
  if (joinedIpc !== undefined) return findShared(joinedIpc)
  return spec.namespaces?.ipc === 'shareable' ? makeShared(spec, paths) : undefined
}

function makeShared(spec: ContainerSpec, paths: ContainerPaths): string {
  const path = pathOf(paths)
  mkdirSync(path, { recursive: true })
  const size = spec.shmSizeBytes || SHM_BYTES
  mount('shm', path, 'tmpfs', MS_NOSUID | MS_NODEV | MS_NOEXEC, `mode=1777,size=${size}`)
  return path
}

/** The one mount of ours that is the same file system as the other's /dev/shm: a private one is in nobody's sight but its own. */
function findShared(joinedIpc: string): string {
  const pid = /^\/proc\/(\d+)\//.exec(joinedIpc)?.[1] ?? ''
  const theirs = tableOf(pid).find((entry) => entry.target === '/dev/shm')
  const ours = theirs && tableOf('self').find((entry) => entry.device === theirs.device)
  if (ours) return ours.target
  throw fault.failedPrecondition(
    'container.ipc_not_shareable',
    `can't join IPC of the container with process ${pid}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
  )
}

const tableOf = (pid: string) => {
  const path = `/proc/${pid}/mountinfo`
  return existsSync(path) ? mountPoints(readFileSync(path, 'utf8')) : []
}

/** Idempotent. */
export function removeSharedMemory(paths: Pick<ContainerPaths, 'bundle'>): void {
  const path = `${paths.bundle}/shm`
  if (!existsSync(path)) return
  try {
    umount(path, MNT_DETACH)
  } catch {
    // It was not mounted.
  }
}
