import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { fault } from '@berth/core'
import { MS_BIND, MS_REC, O_PATH } from '../host/confined.js'
import { mount } from '../host/libc.js'
import { assertNotOurs } from './own-directories.exec.js'
import { unmountPlace } from './volume-mounts.exec.js'

const refused = (why: string) => fault.invalidArgument('container.mount_refused', why)

/**
 * A bind's source must be there, or is made where that was asked for (docker's `-v`), and is nothing of ours: who could write our data root
 * would own the host. @throws container.mount_refused, with docker's words
 */
export function ensureBindSource(source: string, createSource: boolean, ours: readonly string[]): void {
  if (!statSync(source, { throwIfNoEntry: false })) {
    if (!createSource)
      throw refused(`invalid mount config for type "bind": bind source path does not exist: ${source}`)
    assertNotOurs(source, source, ours)
    try {
      mkdirSync(source, { recursive: true, mode: 0o755 })
    } catch (error) {
      throw refused(`error while creating mount source path '${source}': ${(error as Error).message}`)
    }
  }
  assertNotOurs(realpathSync(source), source, ours)
}

/**
 * Mounts what is looked at, and nothing else: the source is opened once, and whoever swaps a symlink on the way afterwards changes nothing
 * (CVE-2021-30465). The place is what the OCI runtime is given. @throws container.mount_refused
 */
export function stageBind(source: string, place: string, ours: readonly string[]): void {
  unmountPlace(place, false)
  const fd = openSource(source)
  try {
    assertNotOurs(readlinkSync(`/proc/self/fd/${fd}`), source, ours)
    mkdirSync(dirname(place), { recursive: true, mode: 0o711 })
    if (fstatSync(fd).isDirectory()) mkdirSync(place, { mode: 0o711 })
    else writeFileSync(place, '', { mode: 0o600 })
    mount(`/proc/self/fd/${fd}`, place, '', MS_BIND | MS_REC, '')
  } finally {
    closeSync(fd)
  }
}

function openSource(source: string): number {
  try {
    return openSync(source, O_PATH)
  } catch (error) {
    throw refused(
      `invalid mount config for type "bind": bind source path does not exist: ${source} (${(error as NodeJS.ErrnoException).code})`,
    )
  }
}
