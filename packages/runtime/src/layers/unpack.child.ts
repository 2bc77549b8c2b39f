import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { Fault, fault } from '@berth/core'
import { extract, type Header } from 'tar-stream'
import { diskFull } from '../host/disk.js'
import { chroot, dieWithParent, lsetxattr, mknod, S_IFBLK, S_IFCHR, S_IFIFO, syncfs } from '../host/libc.js'
import { decodePax } from './pax.js'
import { planEntry, xattrsOf } from './tar-entry.js'

/**
 * Unpacks one layer: blob on stdin, directory in argv. The first thing it does is to make that directory its root, so that no name, link or
 * race in the archive can reach the host. It ends with one line of JSON: {diffId, sizeBytes, implicitDirs} or {error}.
 */
const [, , target = '', maxBytesText = '0'] = process.argv
const maxBytes = Number(maxBytesText)
const ENTRIES_MAX = 2_000_000
/** tar-stream reads attribute values as UTF-8, which destroys binary ones such as file capabilities. */
const require = createRequire(import.meta.url)
const headers = require(join(dirname(require.resolve('tar-stream')), 'headers.js')) as {
  decodePax: typeof decodePax
}
headers.decodePax = decodePax
const decode = (text: string) => Buffer.from(text, 'latin1')

const explicitDirs = new Set<string>()
const implicitDirs = new Set<string>()
const dirTimes: (readonly [string, Date])[] = []
let unpackedBytes = 0
let entries = 0
/** What an entry failed with: the archive's reader only says that it was closed. */
let firstFailure: unknown

const tooLarge = (limit: string) =>
  fault.resourceExhausted('image.layer_too_large', `the layer unpacks to more than ${limit}`)

function lstat(path: string): fs.Stats | undefined {
  return fs.lstatSync(path, { throwIfNoEntry: false })
}

function ensureParent(path: string): void {
  const slash = path.lastIndexOf('/')
  if (slash <= 0) return
  const parent = path.slice(0, slash)
  const stat = fs.statSync(`/${parent}`, { throwIfNoEntry: false })
  if (stat?.isDirectory()) return
  ensureParent(parent)
  const own = lstat(`/${parent}`)
  if (own) fs.rmSync(`/${parent}`, { recursive: true, force: true })
  fs.mkdirSync(`/${parent}`, 0o755)
  implicitDirs.add(parent)
}

function clear(path: string, keepDirectory: boolean): boolean {
  const stat = lstat(path)
  if (!stat) return false
  if (keepDirectory && stat.isDirectory()) return true
  fs.rmSync(path, { recursive: true, force: true })
  return false
}

function applyMetadata(
  path: string,
  name: string,
  header: Header,
  pax: Record<string, string> | undefined,
): void {
  const isLink = header.type === 'symlink'
  fs.lchownSync(path, header.uid ?? 0, header.gid ?? 0)
  if (!isLink) fs.chmodSync(path, (header.mode ?? 0o644) & 0o7777)
  for (const [key, value] of xattrsOf(pax)) {
    try {
      lsetxattr(path, key, decode(value))
    } catch (error) {
      if (!Fault.is(error) || !['ENOTSUP', 'EOPNOTSUPP', 'EPERM'].includes(String(error.params.errno)))
        throw error
    }
  }
  const mtime = header.mtime ?? new Date(0)
  if (header.type === 'directory') dirTimes.push([path, mtime])
  else if (isLink) fs.lutimesSync(path, mtime, mtime)
  else fs.utimesSync(path, mtime, mtime)
  if (header.type === 'directory') explicitDirs.add(name)
}

async function place(header: Header, content: Readable): Promise<void> {
  entries += 1
  if (entries > ENTRIES_MAX) throw tooLarge(`${ENTRIES_MAX} entries`)
  const action = planEntry(header.name)
  if (action.kind === 'skip') return drain(content)
  if (action.kind === 'opaque') {
    ensureParent(`${action.dir}/x`)
    lsetxattr(`/${action.dir}`, 'trusted.overlay.opaque', Buffer.from('y'))
    return drain(content)
  }
  if (action.kind === 'whiteout') {
    ensureParent(action.path)
    clear(`/${action.path}`, false)
    mknod(`/${action.path}`, S_IFCHR, 0, 0)
    return drain(content)
  }
  ensureParent(action.path)
  await write(`/${action.path}`, action.path, header, content)
}

async function write(path: string, name: string, header: Header, content: Readable): Promise<void> {
  const pax = (header as { pax?: Record<string, string> }).pax
  const exists = clear(path, header.type === 'directory')
  switch (header.type) {
    case 'directory':
      if (!exists) fs.mkdirSync(path)
      implicitDirs.delete(name)
      break
    case 'symlink':
      fs.symlinkSync(header.linkname ?? '', path)
      break
    case 'link':
      linkInside(header.linkname ?? '', path)
      return drain(content)
    case 'character-device':
    case 'block-device':
      mknod(
        path,
        (header.type === 'block-device' ? S_IFBLK : S_IFCHR) | 0o600,
        header.devmajor ?? 0,
        header.devminor ?? 0,
      )
      break
    case 'fifo':
      mknod(path, S_IFIFO | 0o600, 0, 0)
      break
    case 'file':
    case 'contiguous-file':
      await writeFile(path, content)
      applyMetadata(path, name, header, pax)
      return
    default:
      throw fault.invalidArgument(
        'image.layer_invalid',
        `layer entry ${JSON.stringify(header.name)} has the unsupported type ${String(header.type)}`,
      )
  }
  await drain(content)
  applyMetadata(path, name, header, pax)
}

/** A hard link's target is named from the layer's root and must be in this layer (CVE-2021-41089: its mode is never touched). */
function linkInside(linkname: string, path: string): void {
  const action = planEntry(linkname)
  const source = action.kind === 'entry' ? `/${action.path}` : ''
  const stat = source === '' ? undefined : lstat(source)
  if (!stat || stat.isDirectory())
    throw fault.invalidArgument(
      'image.layer_invalid',
      `hard link ${JSON.stringify(path)} points to ${JSON.stringify(linkname)}, which is not a file of this layer`,
    )
  fs.linkSync(source, path)
}

async function writeFile(path: string, content: Readable): Promise<void> {
  const fd = fs.openSync(
    path,
    fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW,
    0o600,
  )
  try {
    for await (const chunk of content) {
      unpackedBytes += (chunk as Buffer).length
      // Not writeSync: on a disk that fills up it may write less than it was given, without an error.
      fs.writeFileSync(fd, chunk as Buffer)
    }
  } finally {
    fs.closeSync(fd)
  }
}

async function drain(content: Readable): Promise<void> {
  for await (const _ of content) {
    // The archive's reader moves on only when an entry was read to its end.
  }
}

/** gzip and zstd by their magic numbers; anything else is taken as plain tar. */
async function decompressed(source: Readable): Promise<Readable> {
  const first = await new Promise<Buffer>((resolve, reject) => {
    source.once('error', reject)
    source.once('end', () => resolve(Buffer.alloc(0)))
    source.once('data', (chunk: Buffer) => {
      source.pause()
      resolve(chunk)
    })
  })
  const whole = new PassThrough({ highWaterMark: 1 << 20 })
  whole.write(first)
  source.pipe(whole)
  if (first[0] === 0x1f && first[1] === 0x8b)
    return whole.pipe(forwardErrors(whole, createGunzip({ chunkSize: 1 << 18 })))
  if (first.readUInt32LE?.(0) === 0xfd2fb528)
    return whole.pipe(forwardErrors(whole, createZstdDecompress({ chunkSize: 1 << 18 })))
  return whole
}

function forwardErrors<T extends NodeJS.WritableStream & { destroy(error?: Error): unknown }>(
  from: Readable,
  to: T,
): T {
  from.on('error', (error) => to.destroy(error))
  return to
}

async function unpack(): Promise<{ diffId: string; sizeBytes: number; implicitDirs: string[] }> {
  dieWithParent()
  const source = fs.createReadStream('', { fd: 0, highWaterMark: 1 << 18 })
  chroot(target)
  process.chdir('/')
  process.umask(0)
  const hash = createHash('sha256')
  const archive = extract()
  archive.on('entry', (header, content, next) => {
    place(header, content as unknown as Readable).then(
      () => next(),
      (error: unknown) => {
        firstFailure ??= error
        archive.destroy()
      },
    )
  })
  const tar = await decompressed(source)
  let tarBytes = 0
  tar.on('data', (chunk: Buffer) => {
    hash.update(chunk)
    tarBytes += chunk.length
    if (tarBytes > maxBytes) archive.destroy(tooLarge(`${maxBytes} bytes`))
  })
  await pipeline(tar, archive)
  for (const [path, mtime] of dirTimes.reverse())
    if (lstat(path)?.isDirectory()) fs.utimesSync(path, mtime, mtime)
  const root = fs.openSync('/', 'r')
  syncfs(root)
  return {
    diffId: `sha256:${hash.digest('hex')}`,
    sizeBytes: unpackedBytes,
    implicitDirs: [...implicitDirs].filter((dir) => !explicitDirs.has(dir)),
  }
}

unpack().then(
  (result) => process.stdout.write(`${JSON.stringify(result)}\n`),
  (error: unknown) => {
    const { kind, code, message } = failureOf(firstFailure ?? error)
    process.stdout.write(`${JSON.stringify({ error: { kind, code, message } })}\n`)
  },
)

function failureOf(error: unknown): Fault {
  if (error instanceof Fault) return error
  const why = error instanceof Error ? error.message : String(error)
  return (
    diskFull(error, 'the layer') ??
    fault.invalidArgument('image.layer_invalid', `the layer cannot be unpacked: ${why}`)
  )
}
