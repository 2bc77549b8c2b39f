import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import koffi from 'koffi'

const libc = koffi.load('libc.so.6')
const syscall = libc.func(
  'long syscall(long number, int dirfd, const char *path, const void *how, size_t size)',
)

const OPENAT2 = 437
const RESOLVE_NO_MAGICLINKS = 0x02
const RESOLVE_IN_ROOT = 0x10
const HOW_BYTES = 24
const FILE_MAX_BYTES = 4 * 1024 * 1024

/**
 * A small regular file of a running container, read through a root (`/proc/PID/root`) that its links cannot leave, even while the container
 * changes them; empty when it is absent, is no regular file or has more than 4 MiB.
 */
export function readInRoot(root: string, path: string): string {
  const dir = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    const how = Buffer.alloc(HOW_BYTES)
    const O_CLOEXEC = 0o2000000
    how.writeBigUInt64LE(BigInt(constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | O_CLOEXEC))
    how.writeBigUInt64LE(BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), 16)
    const fd = Number(syscall(OPENAT2, dir, path, how, HOW_BYTES))
    return fd < 0 ? '' : readAndClose(fd)
  } finally {
    closeSync(dir)
  }
}

function readAndClose(fd: number): string {
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile() || stat.size > FILE_MAX_BYTES) return ''
    const bytes = Buffer.alloc(stat.size)
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, stat.size, 0))
  } finally {
    closeSync(fd)
  }
}
