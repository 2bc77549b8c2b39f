import * as fs from 'node:fs'
import { Fault, fault } from '@berth/core'
import { changeDirectory, O_DIRECTORY, O_PATH, RESOLVE } from '../host/confined.js'
import { withFileId } from '../host/idmap.js'
import { dieWithParent } from '../host/libc.js'
import { decompressed } from '../layers/decompress.js'
import { TarReader } from '../layers/tar-reader.js'
import { invalidArchive } from './archive-name.js'
import { ChangeWalk, writeLayer } from './changes.child.js'
import { errnoOf, fileFault, readOnlyRoot, readOnlyVolume } from './failures.js'
import { locate, openInRoot, statOf } from './locate.child.js'
import { Outbox, writeAll } from './outbox.child.js'
import type { FilesAnswer, FilesRequest } from './requests.js'
import { enterView, openDirectory, openLayers } from './root-view.child.js'
import { visibleChanges } from './stubs.js'
import { TreeCloner } from './tree-cloner.child.js'
import { TreeReader } from './tree-reader.child.js'
import { isEmptyDirectory, sizeOfTree } from './tree-remover.child.js'
import { TreeWriter } from './tree-writer.child.js'

/**
 * One piece of work on the files of one container, told in argv: everything is loaded, then the container's root is entered, then the work is
 * done with system calls alone. Archives go over stdin and stdout, lines of JSON over descriptor 3. All of it waits where it has to: the
 * process does nothing else.
 */
const ANSWERS = 3
/** What is cloned or packed. */
const SOURCE_FD = 4
/** Where copy-up, a clone and an unpacked archive go to. */
const TARGET_FD = 5
const CHUNK_BYTES = 1 << 19

const answer = (line: FilesAnswer): void => writeAll(ANSWERS, Buffer.from(`${JSON.stringify(line)}\n`))
const toStdout = () => new Outbox((bytes) => writeAll(1, bytes))

async function perform(request: FilesRequest): Promise<void> {
  switch (request.op) {
    case 'stat':
    case 'copy-out':
      return copyOut(request)
    case 'copy-in':
      return copyIn(request)
    case 'export':
      return exportRoot(request)
    case 'changes':
      return tellChanges(request)
    case 'copy-up':
      return copyUp(request)
    case 'clone':
      return clone()
    case 'pack':
      return pack(request)
    case 'unpack':
      return unpack()
    case 'sizes':
      return answer({ kind: 'sizes', sizes: request.directories.map(sizeOfTree) })
  }
}

type Request<Op extends FilesRequest['op']> = Extract<FilesRequest, { op: Op }>
const shiftOf = ({ view }: Request<'copy-out' | 'copy-in' | 'stat' | 'export'>) =>
  view.kind === 'descriptor' ? view.shift : undefined

function copyOut(request: Request<'stat' | 'copy-out'>): void {
  const procFds = openDirectory('/proc/self/fd')
  enterView(request.view)
  const found = locate(request.path)
  answer({ kind: 'stat', stat: statOf(found, procFds) })
  fs.closeSync(procFds)
  if (request.op === 'stat') return
  const reader = new TreeReader(toStdout(), shiftOf(request))
  if (found.base) reader.tree(found.directory, found.base, found.name)
  else reader.directory(found.directory, found.name)
  reader.finish()
}

function exportRoot(request: Request<'export'>): void {
  enterView(request.view)
  answer({ kind: 'ready' })
  const reader = new TreeReader(toStdout(), shiftOf(request))
  reader.content(openDirectory('/'), '')
  reader.finish()
}

function tellChanges(request: Request<'changes'>): void {
  const { lower, upper } = openLayers(request.layers)
  const walk = new ChangeWalk(request.asLayer)
  walk.directory(upper, lower, '')
  const changes = visibleChanges(walk.changes)
  if (!request.asLayer) return answer({ kind: 'changes', changes })
  answer({ kind: 'ready' })
  writeLayer(upper, changes, new TreeReader(toStdout()))
}

async function copyIn(request: Request<'copy-in'>): Promise<void> {
  enterView(request.view)
  const { path, noOverwriteDirNonDir, copyOwners } = request
  const shift = shiftOf(request)
  const top = openTarget(path)
  assertWritable(top)
  answer({ kind: 'ready' })
  const writer = new TreeWriter(top, {
    resolve: RESOLVE.noMagicLinks,
    noOverwriteDirNonDir,
    copyOwners,
    takesRoot: false,
    shift,
    path,
  })
  const reader = new TarReader(writer, 'latin1')
  const asRoot = (work: () => void) => (shift ? withFileId(shift.hostId, work) : work())
  for await (const chunk of decompressed(stdin())) asRoot(() => reader.push(chunk))
  reader.finish()
  asRoot(() => writer.finish())
}

/** The extraction point: followed to its end, and a directory. */
function openTarget(path: string): number {
  const top = openInRoot(path.replace(/^\/+/, ''), O_PATH)
  if (fs.fstatSync(top).isDirectory()) return top
  throw fault.invalidArgument('file.not_a_directory', 'extraction point is not a directory')
}

function assertWritable(top: number): void {
  const root = fs.statSync('/').dev
  const here = fs.fstatSync(top).dev
  try {
    changeDirectory(top)
    fs.accessSync('.', fs.constants.W_OK)
  } catch (error) {
    if (errnoOf(error) !== 'EROFS') throw error
    throw here === root ? readOnlyRoot() : readOnlyVolume()
  }
}

async function* stdin(): AsyncGenerator<Buffer> {
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    const count = fs.readSync(0, chunk, 0, CHUNK_BYTES, null)
    if (count === 0) return
    yield chunk.subarray(0, count)
  }
}

/** A directory of the image with all that is in it into an empty directory, owners and modes too. */
function copyUp(request: Request<'copy-up'>): void {
  enterView(request.view)
  if (!isEmptyDirectory(TARGET_FD)) return
  const source = openQuietly(request.path)
  if (source === undefined) return
  const writer = new TreeWriter(TARGET_FD, {
    resolve: RESOLVE.beneath | RESOLVE.noSymlinks,
    noOverwriteDirNonDir: false,
    copyOwners: true,
    takesRoot: true,
    shift: undefined,
    path: request.path,
  })
  const reader = new TarReader(writer, 'latin1')
  const copier = new TreeReader(new Outbox((bytes) => reader.push(bytes)))
  copier.directory(source, '.')
  copier.finish()
  reader.finish()
  writer.finish()
}

function clone(): void {
  const cloner = new TreeCloner(SOURCE_FD, TARGET_FD)
  cloner.run()
  answer({ kind: 'cloned', count: cloner.count })
}

function pack({ skipBytes }: Request<'pack'>): void {
  answer({ kind: 'ready' })
  const reader = new TreeReader(new Outbox((bytes) => writeAll(1, bytes), skipBytes), undefined, true)
  reader.directory(SOURCE_FD, '.')
  reader.finish()
}

async function unpack(): Promise<void> {
  const writer = new TreeWriter(TARGET_FD, {
    resolve: RESOLVE.beneath | RESOLVE.noSymlinks,
    noOverwriteDirNonDir: false,
    copyOwners: true,
    takesRoot: true,
    isExact: true,
    shift: undefined,
    path: '/',
  })
  answer({ kind: 'ready' })
  const reader = new TarReader(writer, 'latin1', true)
  for await (const chunk of stdin()) reader.push(chunk)
  reader.finish()
  writer.finish()
}

/** Undefined when the image has no such directory. */
function openQuietly(path: string): number | undefined {
  try {
    return openInRoot(path.replace(/^\/+/, ''), O_PATH | O_DIRECTORY)
  } catch {
    return undefined
  }
}

function pathOf(request: FilesRequest): string {
  if (request.op === 'clone' || request.op === 'unpack') return 'the copy of the volume'
  return 'path' in request ? request.path : '/'
}

/** An archive that cannot be read is the sender's mistake, whoever finds it. */
function failureOf(error: unknown, request: FilesRequest): Fault {
  if (Fault.is(error, 'image.layer_invalid')) return invalidArchive(error.message)
  const code = String((error as { readonly code?: unknown }).code)
  if (/^(?:Z_|ZSTD_|ERR_ZSTD)/.test(code)) return invalidArchive('the compressed archive is damaged')
  return Fault.from(fileFault(error, pathOf(request)), 'file.failed')
}

const request = JSON.parse(process.argv[2] ?? '{}') as FilesRequest
dieWithParent()
process.umask(0)
perform(request).then(
  () => answer({ kind: 'done' }),
  (error: unknown) => {
    const { kind, code, message } = failureOf(error, request)
    answer({ kind: 'failed', fault: { kind, code, message } })
    process.exitCode = 1
  },
)
