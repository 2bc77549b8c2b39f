import { existsSync, readdirSync } from 'node:fs'
import { rm, rmdir, unlink } from 'node:fs/promises'

/**
 * Removes a small directory and all in it, all files at once in the thread pool; Node's own asks about each of them several times, one after
 * the other. Idempotent. What others are removing at the same moment is theirs.
 */
export async function removeDirectory(dir: string): Promise<void> {
  try {
    const entries = readdirSync(dir, { withFileTypes: true })
    await Promise.all(
      entries.map((entry) => {
        const path = `${dir}/${entry.name}`
        return entry.isDirectory() ? removeDirectory(path) : unlink(path)
      }),
    )
    await rmdir(dir)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && !existsSync(dir)) return
    await rm(dir, { recursive: true, force: true, maxRetries: 3 })
  }
}
