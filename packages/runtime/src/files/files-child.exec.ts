import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { Fault, type FaultKind, fault } from '@berth/core'
import type { FilesAnswer, FilesRequest } from './requests.js'

const CHILD = fileURLToPath(new URL('../../dist/files/files.child.js', import.meta.url))
const ANSWERS = 3

export interface ChildSetting {
  /** Becomes descriptor 4: the root of `view.kind: 'descriptor'`. */
  readonly rootFd?: number
  /** Becomes descriptor 5: where copy-up writes. */
  readonly targetFd?: number
  readonly signal?: AbortSignal
}

export interface ChildArchive {
  /** What the child said before the first byte. */
  readonly head: FilesAnswer
  /** Throws when the child could not finish; leaving it early ends the child. */
  readonly archive: AsyncIterable<Uint8Array>
}

/** Work without an archive; gives what the child said. @throws what the child failed with; cancelled */
export async function askFiles(request: FilesRequest, setting: ChildSetting = {}): Promise<FilesAnswer> {
  const child = new FilesChild(request, setting, 'none')
  const head = await child.head
  await child.ended
  return head
}

/** An archive from the child, at the pace of its reader. */
export async function readFiles(request: FilesRequest, setting: ChildSetting = {}): Promise<ChildArchive> {
  const child = new FilesChild(request, setting, 'out')
  return { head: await child.head, archive: child.archive() }
}

/** Feeds an archive to the child. */
export async function writeFiles(
  request: FilesRequest,
  archive: AsyncIterable<Uint8Array>,
  setting: ChildSetting = {},
): Promise<void> {
  const child = new FilesChild(request, setting, 'in')
  await child.feed(archive)
}

/** One child process, with no environment and no descriptor but its own; killed when the signal aborts. */
class FilesChild {
  readonly head: Promise<FilesAnswer>
  /** Settles when the process has gone, by what it said last. */
  readonly ended: Promise<void>
  private readonly process: ChildProcess
  private readonly lines: FilesAnswer[] = []
  /** Read from the first moment on: node throws away what nobody reads of a child that has ended. */
  private readonly output: PassThrough | undefined

  constructor(
    { op, ...rest }: FilesRequest,
    private readonly setting: ChildSetting,
    archive: 'in' | 'out' | 'none',
  ) {
    setting.signal?.throwIfAborted()
    this.process = spawn(process.execPath, [CHILD, JSON.stringify({ op, ...rest })], {
      stdio: [
        archive === 'in' ? 'pipe' : 'ignore',
        archive === 'out' ? 'pipe' : 'ignore',
        'pipe',
        'pipe',
        setting.rootFd ?? 'ignore',
        setting.targetFd ?? 'ignore',
      ],
      env: {},
      cwd: '/',
    })
    this.output = this.process.stdout?.pipe(new PassThrough())
    const first = Promise.withResolvers<FilesAnswer>()
    this.head = first.promise
    this.ended = this.follow(first.resolve)
    this.ended.catch(first.reject)
    this.head.catch(() => {})
  }

  async *archive(): AsyncGenerator<Uint8Array> {
    try {
      if (this.output) yield* this.output as AsyncIterable<Uint8Array>
      await this.ended
    } catch (error) {
      throw this.setting.signal?.aborted ? cancelled() : error
    } finally {
      this.process.kill('SIGKILL')
      await this.ended.catch(() => {})
    }
  }

  /** A child that refuses the archive closes its end first: its own words say more than a broken pipe. Nobody waits for a sender that hangs. */
  async feed(archive: AsyncIterable<Uint8Array>): Promise<void> {
    const { stdin } = this.process
    if (!stdin) return this.ended
    const sent = pipeline(Readable.from(archive, { objectMode: false }), stdin).catch((error: unknown) => ({
      error,
    }))
    const first = await Promise.race([sent, this.ended.catch(() => undefined)])
    if (!first || isClosedPipe(first.error)) return this.ended
    this.process.kill('SIGKILL')
    await this.ended.catch(() => {})
    throw this.setting.signal?.aborted ? cancelled() : first.error
  }

  private follow(onLine: (line: FilesAnswer) => void): Promise<void> {
    const { signal } = this.setting
    const give = () => this.process.kill('SIGKILL')
    signal?.addEventListener('abort', give, { once: true })
    let complaint = ''
    this.process.stderr?.on('data', (chunk) => {
      complaint = `${complaint}${chunk}`.slice(-2_000)
    })
    createInterface({ input: this.process.stdio[ANSWERS] as Readable }).on('line', (text) => {
      const line = JSON.parse(text) as FilesAnswer
      this.lines.push(line)
      if (line.kind !== 'failed') onLine(line)
    })
    const ended = new Promise<void>((resolve, reject) => {
      this.process.on('error', reject)
      this.process.on('close', (code, killedBy) => {
        signal?.removeEventListener('abort', give)
        const last = this.lines.at(-1)
        if (last?.kind === 'done') resolve()
        else if (signal?.aborted) reject(cancelled())
        else if (last?.kind === 'failed') reject(faultOf(last))
        else reject(lost(killedBy ?? code, complaint))
      })
    })
    ended.catch(() => {})
    return ended
  }
}

const cancelled = () => fault.cancelled('cancelled', 'the operation was cancelled by its caller')

const lost = (end: string | number | null, complaint: string) =>
  fault.internal('file.child_failed', `the files child ended with ${end}: ${complaint.trim()}`)

const faultOf = ({ fault: said }: Extract<FilesAnswer, { kind: 'failed' }>) =>
  new Fault({ kind: said.kind as FaultKind, code: said.code, message: said.message })

const isClosedPipe = (error: unknown): boolean =>
  ['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE'].includes(
    String((error as NodeJS.ErrnoException).code),
  )
