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
      await receive(archive, file, signal)
      await this.workers.ask({ op: 'unpack', archive: file, directory: `${place}/files` }, 'done', signal)
      rmSync(file)
      return { dir: `${place}/files`, release }
    } catch (error) {
      await release()
      throw diskFull(error, place) ?? error
    }
  }

  /**
   * Makes an opened context another one: what is not in it any more goes, what the archive has comes. When that fails it is released.
   * `removed` is asked for when the archive has come.
   * @throws as `open`
   */
  async update(
    context: BuildContext,
    archive: AsyncIterable<Uint8Array>,
    removed: () => readonly string[],
    signal: AbortSignal,
  ): Promise<BuildContext> {
    this.workers.warm(2)
    const file = `${context.dir}/../archive`
    try {
      await receive(archive, file, signal)
      const request = { op: 'unpack', archive: file, directory: context.dir } as const
      await this.workers.ask({ ...request, removed: removed().map(latin1) }, 'done', signal)
      rmSync(file)
      return context
    } catch (error) {
      await context.release()
      throw diskFull(error, context.dir) ?? error
    }
  }

  /** What a killed agent left. */
  recover(): void {
    if (existsSync(this.dir))
      rmSync(this.dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
  }
}

const latin1 = (path: string): string => Buffer.from(path).toString('latin1')

const receive = (archive: AsyncIterable<Uint8Array>, file: string, signal: AbortSignal): Promise<void> =>
  pipeline(Readable.from(archive, { objectMode: false }), createWriteStream(file, { mode: 0o600 }), {
    signal,
  })
