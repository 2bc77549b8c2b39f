import { type ChildProcess, spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { fault } from '@berth/core'
import { TreeWriter } from '../../files/tree-writer.child.js'
import { O_DIRECTORY, O_PATH, RESOLVE } from '../../host/confined.js'
import { decompressed } from '../../layers/decompress.js'
import { BLOCK_BYTES, decodeBlock } from '../../layers/tar-header.js'
import { TarReader } from '../../layers/tar-reader.js'

const CHUNK_BYTES = 1 << 19
const NOBODY = 65_534

/** By the first bytes; what is not here is tried as a plain archive. */
const TOOLS = [
  { program: 'bzip2', magic: Buffer.from('BZh') },
  { program: 'xz', magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]) },
] as const

/**
 * Unpacks a local archive (tar, plain or with gzip, zstd, bzip2 or xz) into the directory that `target` gives, as ADD does. False when the file
 * is none, whatever it is called. bzip2 and xz are taken off by Debian's programs, which run as nobody with the file and a pipe.
 */
export async function unpackInto(fd: number, root: string, target: () => string): Promise<boolean> {
  const stream = plainBytes(fd)
  const first = await headOf(stream)
  if (!isTarHead(first)) {
    await stream.return?.(undefined).catch(() => {})
    return false
  }
  const directory = target()
  assertDirectory(directory)
  fs.mkdirSync(directory, { recursive: true, mode: 0o755 })
  const top = fs.openSync(directory, O_PATH | O_DIRECTORY)
  try {
    const writer = new TreeWriter(top, {
      resolve: RESOLVE.inRoot | RESOLVE.noMagicLinks,
      noOverwriteDirNonDir: false,
      copyOwners: true,
      takesRoot: false,
      shift: undefined,
      path: directory.slice(root.length) || '/',
    })
    const reader = new TarReader(writer, 'latin1')
    reader.push(first)
    for await (const chunk of stream) reader.push(chunk)
    reader.finish()
    writer.finish()
    return true
  } finally {
    process.chdir('/')
    fs.closeSync(top)
  }
}

function assertDirectory(path: string): void {
  const stat = fs.statSync(path, { throwIfNoEntry: false })
  if (stat && !stat.isDirectory())
    throw fault.invalidArgument('build.target_invalid', `cannot copy to non-directory: ${path}`)
}

function plainBytes(fd: number): AsyncGenerator<Buffer> {
  const head = Buffer.alloc(8)
  fs.readSync(fd, head, 0, head.length, 0)
  const tool = TOOLS.find(({ magic }) => head.subarray(0, magic.length).equals(magic))
  return tool ? through(tool.program, fd) : decompressed(fileBytes(fd))
}

async function* fileBytes(fd: number): AsyncGenerator<Buffer> {
  for (let at = 0; ; ) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    const count = fs.readSync(fd, chunk, 0, CHUNK_BYTES, at)
    if (count === 0) return
    at += count
    yield chunk.subarray(0, count)
  }
}

async function* through(program: string, fd: number): AsyncGenerator<Buffer> {
  const own = fs.openSync(`/proc/self/fd/${fd}`, 'r')
  const child = spawn(program, ['-dc'], {
    stdio: [own, 'pipe', 'ignore'],
    env: { PATH: '/usr/bin:/bin' },
    cwd: '/',
    uid: NOBODY,
    gid: NOBODY,
  })
  fs.closeSync(own)
  const ended = endOf(child, program)
  ended.catch(() => {})
  try {
    if (child.stdout) for await (const chunk of child.stdout) yield chunk as Buffer
    await ended
  } finally {
    child.kill('SIGKILL')
  }
}

const endOf = (child: ChildProcess, program: string): Promise<void> =>
  new Promise((resolve, reject) => {
    child.once('error', () =>
      reject(
        fault.failedPrecondition(
          'host.program_missing',
          `${program} is not installed: apt-get install ${program === 'xz' ? 'xz-utils' : program}`,
        ),
      ),
    )
    child.once('close', (code) =>
      code === 0
        ? resolve()
        : reject(fault.invalidArgument('archive.invalid', `the ${program} archive is damaged`)),
    )
  })

/** At least a header's length, unless there is less. */
async function headOf(stream: AsyncGenerator<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  try {
    for (let length = 0; length < BLOCK_BYTES; ) {
      const next = await stream.next()
      if (next.done) break
      parts.push(next.value)
      length += next.value.length
    }
  } catch (error) {
    // Compressed data that is not what its first bytes say is a file like any other.
    if (!(error as { readonly code?: string }).code?.startsWith('Z_')) throw error
    return Buffer.alloc(0)
  }
  return Buffer.concat(parts)
}

function isTarHead(head: Buffer): boolean {
  if (head.length < BLOCK_BYTES || head[0] === 0) return false
  try {
    decodeBlock(head.subarray(0, BLOCK_BYTES))
    return true
  } catch {
    return false
  }
}
