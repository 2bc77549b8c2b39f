import { lookup } from 'node:dns/promises'
import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { Fault, fault } from '@berth/core'
import {
  MS_BIND,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  MS_REMOUNT,
  O_PATH,
  openBelow,
  RESOLVE,
} from '../host/confined.js'
import { MNT_DETACH, mount, UMOUNT_NOFOLLOW, umount } from '../host/libc.js'
import { serverOf, type VolumeMount, withServer } from './driver-options.js'
import { errnoWords } from './errno-words.js'
import { assertNotOurs } from './own-directories.exec.js'

/**
 * Mounts a volume with driver options on its directory, unless it is there.
 * @throws volume.mount_failed, with the kernel's reason; container.mount_refused for a directory of ours
 */
export async function mountVolume(
  wanted: VolumeMount,
  target: string,
  ours: readonly string[],
): Promise<void> {
  if (isMounted(target)) return
  const server = serverOf(wanted)
  try {
    const ready = server === undefined ? wanted : withServer(wanted, (await lookup(server)).address)
    if (ready.flags & MS_BIND) bindDirectory(ready, target, ours)
    else mount(ready.device, target, ready.type, ready.flags, ready.data)
  } catch (error) {
    if (Fault.is(error) && error.code !== 'host.syscall') throw error
    const errno = String(
      Fault.is(error) ? error.params.errno : ((error as NodeJS.ErrnoException).code ?? error),
    )
    throw fault.failedPrecondition(
      'volume.mount_failed',
      `failed to mount local volume: mount ${wanted.device}:${target}, type ${JSON.stringify(wanted.type)}, data ${JSON.stringify(hidden(wanted.data))}: ${errnoWords(errno)}`,
      { cause: error },
    )
  }
}

/** What is looked at is what is mounted, whatever becomes of the path meanwhile. */
function bindDirectory({ device, flags, data }: VolumeMount, target: string, ours: readonly string[]): void {
  const fd = openSync(device, O_PATH)
  try {
    assertNotOurs(readlinkSync(`/proc/self/fd/${fd}`), device, ours)
    mount(`/proc/self/fd/${fd}`, target, '', flags & ~MS_RDONLY, data)
    // The kernel heeds read-only only for a bind that is there already.
    if (flags & MS_RDONLY) mount('none', target, '', MS_REMOUNT | MS_BIND | MS_RDONLY, '')
  } finally {
    closeSync(fd)
  }
}

const hidden = (data: string): string => data.replace(/(^|,)password=[^,]*/, '$1password=***')

/**
 * Mounts a directory of a volume on a place of its own, held by a descriptor: a container that has the volume too may swap a symlink for it at
 * any time (CVE-2017-1002101). @throws volume.subpath_missing, volume.subpath_refused
 */
export function mountSubpath(volume: string, subpath: string, target: string): void {
  if (isMounted(target)) return
  const top = openSync(volume, O_PATH | constants.O_DIRECTORY)
  try {
    const found = openSubpath(top, subpath)
    mkdirSync(target, { recursive: true, mode: 0o711 })
    mount(`/proc/self/fd/${found}`, target, '', MS_BIND | MS_REC, '')
    closeSync(found)
  } finally {
    closeSync(top)
  }
}

function openSubpath(top: number, subpath: string): number {
  try {
    const flags = O_PATH | constants.O_DIRECTORY
    return openBelow(top, Buffer.from(subpath || '.'), flags, RESOLVE.beneath | RESOLVE.noMagicLinks)
  } catch (error) {
    const errno = Fault.is(error) ? error.params.errno : undefined
    throw errno === 'ENOENT'
      ? fault.failedPrecondition('volume.subpath_missing', `volume subpath ${subpath} does not exist`)
      : fault.invalidArgument(
          'volume.subpath_refused',
          `volume subpath ${subpath} is no directory, or leads out of the volume`,
          { cause: error },
        )
  }
}

/** Takes away what was mounted there, and the place with its directory when nothing else is in it. Idempotent. */
export function unmountPlace(target: string, keep: boolean): void {
  unmountQuietly(target)
  if (keep) return
  // Never what is in it: should it be mounted still, that is somebody's data.
  removeEmpty(target)
  removeEmpty(dirname(target))
}

/**
 * The kernel says whether there is a mount: its table has thousands of lines on a large host. Where mounts are shared (every host with systemd),
 * what is unmounted below a copy of a mount goes below the original as well, unless the copy has been made private.
 */
export function unmountQuietly(target: string): void {
  try {
    mount('none', target, '', MS_REC | MS_PRIVATE, '')
    umount(target, MNT_DETACH | UMOUNT_NOFOLLOW)
  } catch (error) {
    if (!Fault.is(error) || !['EINVAL', 'ENOENT'].includes(String(error.params.errno))) throw error
  }
}

function removeEmpty(path: string): void {
  try {
    const stat = lstatSync(path)
    if (stat.isDirectory()) rmdirSync(path)
    else if (stat.size === 0) unlinkSync(path)
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EBUSY'].includes(String((error as NodeJS.ErrnoException).code))) throw error
  }
}

export function isMounted(target: string): boolean {
  return mountedBelow(target).includes(target)
}

/** Mount points at or below a path, innermost last. */
export function mountedBelow(path: string): readonly string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, digits: string) =>
        String.fromCharCode(Number.parseInt(digits, 8)),
      ),
    )
    .filter((place) => place === path || place.startsWith(`${path}/`))
}
