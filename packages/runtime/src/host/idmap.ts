import { fault } from '@berth/core'
import koffi from 'koffi'

/** Mounts whose owners are shown shifted, and mounts made by somebody else's id. Numbers of system calls are the same on x64 and arm64. */
const libc = koffi.load('libc.so.6')
const openTreeCall = libc.func('long syscall(long number, int dir, const char *path, unsigned int flags)')
const setattrCall = libc.func(
  'long syscall(long number, int fd, const char *path, unsigned int flags, const void *attributes, size_t size)',
)
const moveMountCall = libc.func(
  'long syscall(long number, int fromFd, const char *from, int toFd, const char *to, unsigned int flags)',
)
const closeCall = libc.func('int close(int fd)')
const prctlCall = libc.func('int prctl(int option, unsigned long argument)')
const setfsuidCall = libc.func('int setfsuid(unsigned int id)')
const setfsgidCall = libc.func('int setfsgid(unsigned int id)')

const SYS = { openTree: 428, moveMount: 429, mountSetattr: 442 } as const
const AT_FDCWD = -100
const OPEN_TREE_CLONE = 1
const OPEN_TREE_CLOEXEC = 0o2000000
const AT_EMPTY_PATH = 0x1000
const MOVE_MOUNT_F_EMPTY_PATH = 4
const MOUNT_ATTR_IDMAP = 0x100000n
const PR_GET_SECUREBITS = 27
const PR_SET_SECUREBITS = 28
const SECBIT_NO_SETUID_FIXUP = 4

function check(result: number, what: string): number {
  if (result >= 0) return result
  const name =
    Object.entries(koffi.os.errno).find(([, value]) => value === koffi.errno())?.[0] ?? String(koffi.errno())
  throw fault.failedPrecondition(
    'host.idmap_unsupported',
    `${what}: ${name}; containers with remapped users need a kernel from 5.19 on and a file system with id-mapped mounts`,
  )
}

/** Mounts a directory a second time, with the ids in it shifted as in the user namespace behind `namespaceFd`. @throws host.idmap_unsupported */
export function mountIdMapped(source: string, target: string, namespaceFd: number): void {
  const tree = check(
    Number(openTreeCall(SYS.openTree, AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)),
    `open_tree ${source}`,
  )
  try {
    const attributes = Buffer.alloc(32)
    attributes.writeBigUInt64LE(MOUNT_ATTR_IDMAP, 0)
    attributes.writeBigUInt64LE(BigInt(namespaceFd), 24)
    check(Number(setattrCall(SYS.mountSetattr, tree, '', AT_EMPTY_PATH, attributes, 32)), `idmap ${source}`)
    check(
      Number(moveMountCall(SYS.moveMount, tree, '', AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH)),
      `move_mount to ${target}`,
    )
  } finally {
    closeCall(tree)
  }
}

/**
 * Runs `work`, which must not wait, with another id for files and all capabilities kept: a file system that it mounts goes on to make its own
 * files by that id. Only this thread is concerned.
 */
export function withFileId<T>(id: number, work: () => T): T {
  const bits = check(prctlCall(PR_GET_SECUREBITS, 0), 'prctl')
  check(prctlCall(PR_SET_SECUREBITS, bits | SECBIT_NO_SETUID_FIXUP), 'prctl')
  const group = setfsgidCall(id)
  const user = setfsuidCall(id)
  try {
    return work()
  } finally {
    setfsuidCall(user)
    setfsgidCall(group)
    check(prctlCall(PR_SET_SECUREBITS, bits), 'prctl')
  }
}
