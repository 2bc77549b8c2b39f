import { closeSync, ftruncateSync, openSync, rmSync } from 'node:fs'
import { run } from '../command.exec.js'

const DISK_BYTES = 64 * 1024 ** 3

export interface Disk {
  /** Lets go of the directory again. Idempotent. */
  close(): Promise<void>
}

/**
 * Puts an xfs of its own under `dir`, in a sparse file beside it. On ext4 an inode that was deleted within the last minutes is not given away
 * again, and the search for another one (`recently_deleted`) takes longer than unpacking: whoever came after somebody's removal would pay for it.
 * Undefined where there is no mkfs.xfs: then the figures of pull and load say little.
 */
export async function mountDisk(dir: string, signal: AbortSignal): Promise<Disk | undefined> {
  const file = `${dir}.xfs`
  const fd = openSync(file, 'wx', 0o600)
  ftruncateSync(fd, DISK_BYTES)
  closeSync(fd)
  const close = async () => {
    await run('umount', ['-l', dir]).catch(() => undefined)
    rmSync(file, { force: true })
  }
  try {
    await run('mkfs.xfs', ['-q', file], { signal })
    await run('mount', ['-o', 'loop', file, dir], { signal })
    return { close }
  } catch {
    await close()
    return undefined
  }
}
