import { Fault, fault } from '@berth/core'
import { diskFull } from '../host/disk.js'

/** The errno of a system call that failed, ours or Node's. */
export function errnoOf(error: unknown): string | undefined {
  if (Fault.is(error, 'host.syscall')) return String(error.params.errno)
  const code = (error as { readonly code?: unknown } | undefined)?.code
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined
}

/** An errno of work on `path` as a fault with docker's words; every other error as it is. */
export function fileFault(error: unknown, path: string): unknown {
  if (Fault.is(error) && error.code !== 'host.syscall') return error
  switch (errnoOf(error)) {
    case 'ENOENT':
      return fault.notFound('file.not_found', `Could not find the file ${path} in the container`, {
        params: { path },
      })
    case 'ENOTDIR':
      return fault.invalidArgument('file.not_a_directory', `lstat ${path}: not a directory`)
    case 'ELOOP':
    case 'EXDEV':
      return fault.invalidArgument(
        'file.path_refused',
        `${path} is a loop, or leads where no path of a container may`,
      )
    case 'ENAMETOOLONG':
      return fault.invalidArgument('file.path_refused', `${path} has a name that is too long`)
    case 'EROFS':
      return readOnlyRoot()
    default:
      return diskFull(error, path) ?? error
  }
}

export const readOnlyRoot = () =>
  fault.permissionDenied('file.read_only', 'container rootfs is marked read-only')
export const readOnlyVolume = () =>
  fault.permissionDenied('file.read_only', 'mounted volume is marked read-only')
