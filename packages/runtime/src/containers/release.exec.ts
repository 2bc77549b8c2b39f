import { closeSync, constants, openSync, unlinkSync, writeSync } from 'node:fs'

/**
 * Lets a process that crun created run, as `crun start` does: a byte into the pipe on which it waits, whose name goes first, so that it is
 * let go once. False when there is no such pipe or nobody waits on it: then the runtime itself is to be asked, which says why.
 * runc's file of the same name works the other way round and must not be written to.
 */
export function releaseCrunInit(stateDir: string, id: string): boolean {
  const path = `${stateDir}/${id}/exec.fifo`
  const fd = openUnlessAbsent(path)
  if (fd === undefined) return false
  try {
    unlinkSync(path)
    writeSync(fd, Buffer.from([0]))
    return true
  } finally {
    closeSync(fd)
  }
}

/** Without waiting: a pipe whose reader has ended gives ENXIO. */
function openUnlessAbsent(path: string): number | undefined {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENXIO') return undefined
    throw error
  }
}
