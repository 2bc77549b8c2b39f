import { closeSync, openSync } from 'node:fs'
import { fault } from '@berth/core'
import koffi from 'koffi'

/**
 * Starting a program without copying this process: `fork`, which Node uses, copies the page tables (15 ms on the main thread for a process of 370 MB,
 * more for a larger one); posix_spawn shares the memory until the program is there. In the thread pool, so the main thread never waits.
 */
const libc = koffi.load('libc.so.6')
const spawnCall = libc.func(
  'int posix_spawnp(_Out_ int *pid, const char *file, const void *actions, const void *attributes, const char **argv, const char **envp)',
)
const actionsInit = libc.func('int posix_spawn_file_actions_init(void *actions)')
const actionsDestroy = libc.func('int posix_spawn_file_actions_destroy(void *actions)')
const addDup2 = libc.func('int posix_spawn_file_actions_adddup2(void *actions, int fd, int target)')
const addChdir = libc.func('int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)')
const attributesInit = libc.func('int posix_spawnattr_init(void *attributes)')
const attributesDestroy = libc.func('int posix_spawnattr_destroy(void *attributes)')
const setFlags = libc.func('int posix_spawnattr_setflags(void *attributes, short flags)')
const setDefaults = libc.func('int posix_spawnattr_setsigdefault(void *attributes, const void *set)')
const setMask = libc.func('int posix_spawnattr_setsigmask(void *attributes, const void *set)')
const pipeCall = libc.func('int pipe2(_Out_ int *fds, int flags)')
const waitCall = libc.func('int waitpid(int pid, void *status, int options)')

/** Larger than glibc's structures on every architecture. */
const ACTIONS_BYTES = 256
const ATTRIBUTES_BYTES = 1024
const SIGNAL_SET_BYTES = 128
const SETSIGDEF = 0x04
const SETSIGMASK = 0x08
const SETSID = 0x80
const O_CLOEXEC = 0o2000000

export interface SpawnPlan {
  /** Looked for in PATH. */
  readonly file: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Ours, which become 0, 1, 2, … of the program; it gets no others, since all of ours are closed on exec. */
  readonly fds: readonly number[]
}

export interface Pipe {
  readonly read: number
  readonly write: number
}

/** Both ends are closed on exec. @throws host.syscall */
export function makePipe(): Pipe {
  const ends = [0, 0]
  if (pipeCall(ends, O_CLOEXEC) !== 0) throw failed('pipe2', koffi.errno())
  const [read = -1, write = -1] = ends
  return { read, write }
}

const failed = (what: string, errno: number) => {
  const name = Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0] ?? String(errno)
  return fault.internal('host.syscall', `${what}: ${name}`, { params: { errno: name } })
}

/**
 * Starts the program in a session of its own, with no signal ignored or blocked, and gives its pid, which must be given to `reap`.
 * @throws host.syscall with ENOENT when there is no such program
 */
export async function spawnAside(plan: SpawnPlan): Promise<number> {
  const actions = Buffer.alloc(ACTIONS_BYTES)
  const attributes = Buffer.alloc(ATTRIBUTES_BYTES)
  actionsInit(actions)
  attributesInit(attributes)
  try {
    plan.fds.forEach((fd, target) => {
      // A descriptor that an earlier one lands on would be lost.
      if (fd < plan.fds.length && fd !== target) throw failed(`descriptor ${fd} for ${plan.file}`, 9)
      addDup2(actions, fd, target)
    })
    addChdir(actions, plan.cwd)
    setDefaults(attributes, Buffer.alloc(SIGNAL_SET_BYTES, 0xff))
    setMask(attributes, Buffer.alloc(SIGNAL_SET_BYTES))
    setFlags(attributes, SETSIGDEF | SETSIGMASK | SETSID)
    return await call(plan, actions, attributes)
  } finally {
    actionsDestroy(actions)
    attributesDestroy(attributes)
  }
}

function call(plan: SpawnPlan, actions: Buffer, attributes: Buffer): Promise<number> {
  const pid = [0]
  const argv = [plan.file, ...plan.args, null]
  const envp = [...Object.entries(plan.env).map(([name, value]) => `${name}=${value}`), null]
  return new Promise((resolve, reject) => {
    const done = (error: unknown, errno: number) => {
      if (error || errno !== 0) reject(error ?? failed(`starting ${plan.file}`, errno))
      else resolve(pid[0] ?? 0)
    }
    spawnCall.async(pid, plan.file, actions, attributes, argv, envp, done)
  })
}

/** Resolves with its exit code when the process has ended; until then a thread of the pool waits for it, so it must be about to end. */
export function reap(pid: number): Promise<number> {
  const status = Buffer.alloc(4)
  return new Promise((resolve) => {
    waitCall.async(pid, status, 0, () => resolve(exitCode(status.readInt32LE())))
  })
}

/** As a shell has it: 128 and the signal for one that was killed. */
const exitCode = (status: number): number =>
  (status & 0x7f) === 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)

/** For programs that read and write nothing. */
export const openNull = (): number => openSync('/dev/null', 'r+')
export const closeAll = (fds: Iterable<number>): void => {
  for (const fd of fds) closeSync(fd)
}
