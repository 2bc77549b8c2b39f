import { lookup } from 'node:dns/promises'
import { closeSync, constants, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs'
import { Fault, fault } from '@berth/core'
import { MS_BIND, MS_REC, O_PATH, openBelow, RESOLVE } from '../host/confined.js'
import { MNT_DETACH, mount, umount } from '../host/libc.js'
import { serverOf, type VolumeMount, withServer } from './driver-options.js'

/** Mounts a volume with driver options on its directory, unless it is there. @throws volume.mount_failed, with the kernel's reason */
export async function mountVolume(wanted: VolumeMount, target: string): Promise<void> {
  if (isMounted(target)) return
  const server = serverOf(wanted)
  try {
    const ready = server === undefined ? wanted : withServer(wanted, (await lookup(server)).address)
    mount(ready.device, target, ready.type, ready.flags, ready.data)
  } catch (error) {
    const errno = Fault.is(error) ? error.params.errno : String(error)
    throw fault.failedPrecondition(
      'volume.mount_failed',
      `failed to mount local volume: mount ${wanted.device}:${target}, type ${JSON.stringify(wanted.type)}, data ${JSON.stringify(hidden(wanted.data))}: ${errno}`,
      { cause: error },
    )
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

/** Takes away what was mounted there, and the place. Idempotent. */
export function unmountPlace(target: string, keep: boolean): void {
  if (isMounted(target)) umount(target, MNT_DETACH)
  if (!keep) rmSync(target, { recursive: true, force: true })
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
