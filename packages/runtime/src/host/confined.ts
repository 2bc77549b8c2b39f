import { fault } from '@berth/core'
import koffi from 'koffi'

/**
 * System calls for work inside a tree that somebody else may change meanwhile: directories are held by descriptors, names are one component
 * each, bytes as the disk has them, and the kernel refuses what leads elsewhere. All are synchronous and throw `host.syscall` with the errno's name.
 */
const libc = koffi.load('libc.so.6')
const openat2Call = libc.func(
  'long syscall(long number, int dir, const void *path, const void *how, size_t size)',
)
const fchmodat2Call = libc.func(
  'long syscall(long number, int dir, const void *path, unsigned int mode, unsigned int flags)',
)
const fchdirCall = libc.func('int fchdir(int fd)')
const unshareCall = libc.func('int unshare(int flags)')
const mountCall = libc.func(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
)
const mknodCall = libc.func('int mknod(const void *path, unsigned int mode, unsigned long dev)')
const linkatCall = libc.func(
  'int linkat(int fromDir, const void *from, int toDir, const void *to, int flags)',
)
const listCall = libc.func('long llistxattr(const void *path, _Out_ uint8_t *list, size_t size)')
const getCall = libc.func(
  'long lgetxattr(const void *path, const char *name, _Out_ uint8_t *value, size_t size)',
)
const setCall = libc.func(
  'int lsetxattr(const void *path, const char *name, const void *value, size_t size, int flags)',
)

const SYS_OPENAT2 = 437
const SYS_FCHMODAT2 = 452
const AT_SYMLINK_NOFOLLOW = 0x100
const AT_FDCWD = -100
const CLONE_NEWNS = 0x20000
const CLONE_FS = 0x200
const XATTR_MAX = 65_536

export const O_PATH = 0o10000000
export const O_DIRECTORY = 0o200000
export const O_NOFOLLOW = 0o400000
const O_CLOEXEC = 0o2000000
export const MS_RDONLY = 1
export const MS_REMOUNT = 32
export const MS_BIND = 4096
export const MS_REC = 16_384
export const MS_PRIVATE = 1 << 18
export const RESOLVE = { noMagicLinks: 2, noSymlinks: 4, beneath: 8, inRoot: 16 } as const

const errnoName = (): string =>
  Object.entries(koffi.os.errno).find(([, value]) => value === koffi.errno())?.[0] ?? String(koffi.errno())

function check(result: number, what: string): number {
  if (result >= 0) return result
  const errno = errnoName()
  throw fault.internal('host.syscall', `${what}: ${errno}`, { params: { errno } })
}

/** A name as system calls take it: bytes with a NUL behind them. */
const terminated = (name: Buffer): Buffer => Buffer.concat([name, Buffer.alloc(1)])

/** Opens below a directory by the rules of openat2(2). */
export function openBelow(dir: number, path: Buffer, flags: number, resolve: number): number {
  const how = Buffer.alloc(24)
  how.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0)
  how.writeBigUInt64LE(BigInt(resolve), 16)
  const fd = Number(openat2Call(SYS_OPENAT2, dir, terminated(path), how, 24))
  return check(fd, `openat2 ${path.toString()}`)
}

export const changeDirectory = (fd: number): void => void check(fchdirCall(fd), 'fchdir')

/** A mount namespace of this thread's own, whose mounts go with the process and are seen by nobody. */
export function takeOwnMounts(): void {
  check(unshareCall(CLONE_FS | CLONE_NEWNS), 'unshare')
  check(mountCall('none', '/', '', MS_REC | MS_PRIVATE, ''), 'mount / private')
}

export const makeNode = (name: Buffer, mode: number, device: bigint): void =>
  void check(mknodCall(terminated(name), mode, device), `mknod ${name.toString()}`)

/** Never through a symlink; kernels before 6.6 cannot, and leave the mode as it was. */
export function changeMode(name: Buffer, mode: number): void {
  const result = Number(fchmodat2Call(SYS_FCHMODAT2, AT_FDCWD, terminated(name), mode, AT_SYMLINK_NOFOLLOW))
  if (result < 0 && errnoName() !== 'ENOSYS') check(result, `chmod ${name.toString()}`)
}

/** A hard link in the working directory to a name in another one, never through a symlink. */
export const linkHere = (fromDir: number, from: Buffer, to: Buffer): void =>
  void check(linkatCall(fromDir, terminated(from), AT_FDCWD, terminated(to), 0), `link ${to.toString()}`)

const list = Buffer.alloc(XATTR_MAX)
const value = Buffer.alloc(XATTR_MAX)

/** Names and values of a file's extended attributes; none where the file system has none. */
export function readXattrs(name: Buffer): readonly (readonly [string, Buffer])[] {
  const path = terminated(name)
  const length = Number(listCall(path, list, XATTR_MAX))
  if (length <= 0) return []
  const names = list.toString('latin1', 0, length - 1).split('\0')
  return names.flatMap((key) => {
    const size = Number(getCall(path, key, value, XATTR_MAX))
    return size < 0 ? [] : [[key, Buffer.from(value.subarray(0, size))] as const]
  })
}

export const writeXattr = (name: Buffer, key: string, bytes: Buffer): void =>
  void check(setCall(terminated(name), key, bytes, bytes.length, 0), `setxattr ${key} on ${name.toString()}`)

/** glibc's encoding of a device number. */
export const deviceNumber = (major: number, minor: number): bigint => {
  const [a, b] = [BigInt(major), BigInt(minor)]
  return ((a & 0xfffff000n) << 32n) | ((a & 0xfffn) << 8n) | ((b & 0xffffff00n) << 12n) | (b & 0xffn)
}

export const deviceParts = (rdev: number): readonly [major: number, minor: number] => {
  const bits = BigInt(rdev)
  return [
    Number(((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n)),
    Number((bits & 0xffn) | ((bits >> 12n) & 0xffffff00n)),
  ]
}
