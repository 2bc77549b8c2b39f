import { randomBytes } from 'node:crypto'
import { createWriteStream, existsSync, mkdirSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { BuildContext } from '../api.js'
import { diskFull } from '../host/disk.js'
import type { Workers } from './steps/workers.exec.js'

/** Contexts that were sent as archives: each in a directory of its own below `<root>/contexts`, until it is released. */
export class Contexts {
  private readonly dir: string

  constructor(
    root: string,
    private readonly workers: Workers,
  ) {
    this.dir = `${root}/contexts`
  }

  /** @throws build.context_invalid, archive.invalid, host.disk_full, the signal's reason */
  async open(archive: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<BuildContext> {
    const place = `${this.dir}/${randomBytes(6).toString('hex')}`
    const release = () => rm(place, { recursive: true, force: true, maxRetries: 5 })
    // While the archive comes: one unpacks it, then two steps at a time are looked at.
    this.workers.warm(2)
    try {
      mkdirSync(`${place}/files`, { recursive: true, mode: 0o700 })
      const file = `${place}/archive`
      await pipeline(
        Readable.from(archive, { objectMode: false }),
        createWriteStream(file, { mode: 0o600 }),
        { signal },
      )
      await this.workers.ask({ op: 'unpack', archive: file, directory: `${place}/files` }, 'done', signal)
      rmSync(file)
      return { dir: `${place}/files`, release }
    } catch (error) {
      await release()
      throw diskFull(error, place) ?? error
    }
  }

  /** What a killed agent left. */
  recover(): void {
    if (existsSync(this.dir))
      rmSync(this.dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
  }
}
