import { fault } from '@berth/core'
import koffi from 'koffi'

/** The few system calls that Node does not offer. All are synchronous and throw `host.syscall` with the errno's name. */
const libc = koffi.load('libc.so.6')
const mountCall = libc.func(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
)
const umountCall = libc.func('int umount2(const char *target, int flags)')
const chrootCall = libc.func('int chroot(const char *path)')
const mknodCall = libc.func('int mknod(const char *path, unsigned int mode, unsigned long dev)')
const lsetxattrCall = libc.func(
  'int lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)',
)
const flockCall = libc.func('int flock(int fd, int operation)')
const syncfsCall = libc.func('int syncfs(int fd)')

export const MNT_DETACH = 2
/** Not where a symlink leads. */
export const UMOUNT_NOFOLLOW = 8
export const S_IFCHR = 0o020000
export const S_IFBLK = 0o060000
export const S_IFIFO = 0o010000

function check(result: number, what: string): void {
  if (result === 0) return
  const name =
    Object.entries(koffi.os.errno).find(([, value]) => value === koffi.errno())?.[0] ?? String(koffi.errno())
  throw fault.internal('host.syscall', `${what}: ${name}`, { params: { errno: name } })
}

export const mount = (source: string, target: string, type: string, flags: number, data: string): void =>
  check(mountCall(source, target, type, flags, data), `mount ${type} on ${target}`)
export const umount = (target: string, flags = 0): void =>
  check(umountCall(target, flags), `umount ${target}`)
/** In the thread pool: taking a mount away may wait for the kernel. */
export const umountAside = (target: string, flags = 0): Promise<void> =>
  new Promise((resolve, reject) =>
    umountCall.async(target, flags, (error: unknown, result: number) =>
      error || result !== 0 ? reject(error ?? new Error(`umount ${target}`)) : resolve(),
    ),
  )
export const chroot = (path: string): void => check(chrootCall(path), `chroot ${path}`)
export const mknod = (path: string, mode: number, major: number, minor: number): void =>
  check(mknodCall(path, mode, makeDevice(major, minor)), `mknod ${path}`)
export const lsetxattr = (path: string, name: string, value: Uint8Array): void =>
  check(lsetxattrCall(path, name, value, value.length, 0), `setxattr ${name} on ${path}`)
/** In a thread of its own, since it waits for the disk; gives 0 or the errno. */
export const syncfsLater = (fd: number): Promise<number> =>
  new Promise((resolve, reject) => {
    syncfsCall.async(fd, (error: Error | null, result: number) => {
      if (error) reject(error)
      else resolve(result === 0 ? 0 : koffi.errno() || 5)
    })
  })

/** Exclusive and without waiting; false when another process holds it. The lock goes with the descriptor. */
export function tryLock(fd: number): boolean {
  const LOCK_EX = 2
  const LOCK_NB = 4
  return flockCall(fd, LOCK_EX | LOCK_NB) === 0
}

/** glibc's encoding of a device number. */
function makeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8)) + (minor & ~0xff) * 0x1000
}

const fcntlCall = libc.func('int fcntl(int fd, int command, int argument)')
const F_SETFD = 2
const FD_CLOEXEC = 1

/** Descriptors this process inherited from whoever started it must not reach a monitor or a container (CVE-2024-21626). */
export function closeOnExec(fds: readonly number[]): void {
  for (const fd of fds) if (fd > 2) fcntlCall(fd, F_SETFD, FD_CLOEXEC)
}

const prctlCall = libc.func('int prctl(int option, unsigned long argument)')
const PR_SET_PDEATHSIG = 1
const SIGKILL = 9

/** From now on the kernel kills this process when the one that started it ends. */
export const dieWithParent = (): void => check(prctlCall(PR_SET_PDEATHSIG, SIGKILL), 'prctl')
