import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readSync, renameSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf, fault } from '@berth/core'
import { gitSourceRefusal, parseGitSource } from '../graph/git-source.js'
import { resolve } from '../steps/select.exec.js'
import type { FetchedSource, SourceOperation, SourceRoom } from '../steps/sources.js'
import { checkOut } from './git-checkout.exec.js'
import { downloadFile, withoutSecrets } from './url-file.exec.js'

/** Unpacks a build context's archive into a directory that is there. */
export type Unpack = (archive: string, directory: string, signal: AbortSignal) => Promise<void>

export interface RemoteContext {
  readonly dir: string
  release(): Promise<void>
}

/** What builds fetch from elsewhere: each in a directory of its own below `<root>/sources`, until it is released. */
export class RemoteSources implements SourceRoom {
  private readonly dir: string

  constructor(
    root: string,
    private readonly unpack: Unpack,
  ) {
    this.dir = `${root}/sources`
  }

  /** @throws build.source_unreachable, build.source_refused, build.checksum_mismatch, build.source_missing, host.disk_full */
  async fetch(operation: SourceOperation, signal: AbortSignal): Promise<FetchedSource> {
    const place = this.place()
    const release = () => rmSync(place, { recursive: true, force: true, maxRetries: 5 })
    try {
      if (operation.kind === 'git') return { ...(await this.git(operation, place, signal)), release }
      mkdirSync(`${place}/files`)
      const digest = await downloadFile(operation.url, `${place}/files/${operation.fileName}`, signal)
      assertChecksum(operation, digest)
      return { path: `${place}/files`, digest, release }
    } catch (error) {
      release()
      throw error
    }
  }

  private async git(
    operation: Extract<SourceOperation, { kind: 'git' }>,
    place: string,
    signal: AbortSignal,
  ): Promise<{ readonly path: string; readonly digest: string }> {
    const { keepsGitDir, subdir } = operation
    const commit = await checkOut(operation, `${place}/files`, signal)
    assertChecksum(operation, commit)
    if (!keepsGitDir) rmSync(`${place}/files/.git`, { recursive: true })
    return { path: directoryIn(`${place}/files`, subdir), digest: digestOf(`git ${commit} ${keepsGitDir}`) }
  }

  /**
   * A context by its address: a repository, an archive, or a Dockerfile without any context.
   * @throws as `fetch`, and archive.invalid, build.context_invalid
   */
  async openContext(address: string, signal: AbortSignal): Promise<RemoteContext> {
    const place = this.place()
    const release = () => rm(place, { recursive: true, force: true, maxRetries: 5 })
    try {
      return { dir: await this.context(address, place, signal), release }
    } catch (error) {
      await release()
      throw error
    }
  }

  private async context(address: string, place: string, signal: AbortSignal): Promise<string> {
    const git = parseGitSource(address)
    if (git) {
      const refusal = gitSourceRefusal(git)
      if (refusal) throw invalidContext(address, refusal)
      await checkOut(git, `${place}/files`, signal)
      rmSync(`${place}/files/.git`, { recursive: true })
      return directoryIn(`${place}/files`, git.subdir)
    }
    if (!/^https?:\/\//i.test(address))
      throw invalidContext(address, 'it is neither http(s) nor a repository')
    mkdirSync(`${place}/files`)
    await downloadFile(address, `${place}/download`, signal)
    if (isText(firstBytes(`${place}/download`))) renameSync(`${place}/download`, `${place}/files/Dockerfile`)
    else await this.unpack(`${place}/download`, `${place}/files`, signal)
    return `${place}/files`
  }

  private place(): string {
    const place = `${this.dir}/${randomBytes(6).toString('hex')}`
    mkdirSync(place, { recursive: true, mode: 0o700 })
    return place
  }

  /** What a killed agent left. */
  recover(): void {
    if (existsSync(this.dir))
      rmSync(this.dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
  }
}

/** Every archive has zeros or other control characters in its beginning. */
const isText = (head: Buffer): boolean =>
  head.every((byte) => (byte >= 0x20 && byte !== 0x7f) || [0x09, 0x0a, 0x0d].includes(byte))

const HEAD_BYTES = 512

function firstBytes(path: string): Buffer {
  const buffer = Buffer.alloc(HEAD_BYTES)
  const fd = openSync(path, 'r')
  try {
    return buffer.subarray(0, readSync(fd, buffer))
  } finally {
    closeSync(fd)
  }
}

/** A directory of a repository; links in it lead nowhere else. */
function directoryIn(root: string, subdir: string | undefined): string {
  if (subdir === undefined) return root
  const found = resolve(Buffer.from(root).toString('latin1'), Buffer.from(subdir).toString('latin1'))
  if (found !== undefined) return join(root, Buffer.from(found, 'latin1').toString())
  throw fault.invalidArgument('build.source_missing', `the repository has no directory ${subdir}`, {
    params: { path: subdir },
  })
}

function assertChecksum({ kind, url, checksum }: SourceOperation, found: string): void {
  if (checksum === undefined || checksum === found) return
  throw fault.failedPrecondition(
    'build.checksum_mismatch',
    `${kind === 'git' ? 'commit' : 'checksum'} of ${withoutSecrets(url)} is ${found}, and ${checksum} was asked for`,
    { params: { url: withoutSecrets(url), found, wanted: checksum } },
  )
}

const invalidContext = (address: string, why: string) =>
  fault.invalidArgument(
    'build.context_invalid',
    `the remote context ${JSON.stringify(withoutSecrets(address).slice(0, 200))} cannot be used: ${why}`,
  )
