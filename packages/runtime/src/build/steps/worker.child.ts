import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { createInterface } from 'node:readline'
import { Fault, fault } from '@berth/core'
import { resolveInRoot } from '../../containers/rootfs.exec.js'
import { Outbox, writeAll } from '../../files/outbox.child.js'
import { takeOwnMounts } from '../../host/confined.js'
import { diskFull } from '../../host/disk.js'
import { dieWithParent, MNT_DETACH, mount, umount } from '../../host/libc.js'
import { mountOverlay } from '../../snapshots/snapshots.store.js'
import { Copier } from './copy.child.js'
import { digestSelection } from './digest-selection.exec.js'
import { LayerTar } from './layer-tar.child.js'
import { removeBelow } from './remove-below.child.js'
import type {
  CopyRequest,
  DigestRequest,
  LayerRequest,
  WorkAnswer,
  WorkRequest,
  WrittenView,
} from './requests.js'
import { openSource } from './source-tree.child.js'
import { unpackInto } from './unpack-archive.child.js'

/**
 * Works on the files of builds, one request after the other: a line of JSON in, one out. It mounts where only it sees, and all of that goes
 * with it; it ends with the runtime.
 */
const ANSWERS = 3
const [, , stage = ''] = process.argv
/** One for all files: a buffer of its own for each costs more than reading it and adding it up. */
const chunk = Buffer.allocUnsafe(1 << 19)

function perform(request: WorkRequest): Promise<WorkAnswer> | WorkAnswer {
  switch (request.op) {
    case 'layer':
      return writeLayer(request)
    case 'copy':
      return copy(request)
    case 'digest':
      return digest(request)
    case 'unpack':
      return unpackContext(request)
    case 'directory':
      return makeDirectory(request)
  }
}

function writeLayer({ upper, blob, clampSeconds }: LayerRequest): WorkAnswer {
  const fd = fs.openSync(blob, 'wx', 0o600)
  const hash = createHash('sha256')
  let blobBytes = 0
  try {
    const outbox = new Outbox((bytes) => {
      hash.update(bytes)
      blobBytes += bytes.length
      writeAll(fd, bytes)
    })
    const { fileBytes, entries } = new LayerTar(outbox, clampSeconds).write(upper)
    const digest = `sha256:${hash.digest('hex')}`
    return { kind: 'layer', layer: { digest, blobBytes, fileBytes, isEmpty: entries === 0 } }
  } finally {
    process.chdir('/')
    fs.closeSync(fd)
  }
}

async function copy(request: CopyRequest): Promise<WorkAnswer> {
  return inRoot(request.view, async (root) => {
    const source = openSource(request.from, request.selection, stage)
    try {
      await new Copier(root, source, request).copy()
    } finally {
      source.close()
    }
    return { kind: 'done' }
  })
}

async function digest({ from, selection }: DigestRequest): Promise<WorkAnswer> {
  const source = openSource(from, selection, stage)
  try {
    return { kind: 'digest', digest: await digestSelection(source.root, source.selected, contentDigest) }
  } finally {
    source.close()
  }
}

function contentDigest(path: Buffer): string {
  const hash = createHash('sha256')
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW)
  try {
    for (let count = fs.readSync(fd, chunk); count > 0; count = fs.readSync(fd, chunk))
      hash.update(chunk.subarray(0, count))
  } finally {
    fs.closeSync(fd)
  }
  return hash.digest('hex')
}

async function unpackContext({
  archive,
  directory,
  removed = [],
}: Extract<WorkRequest, { op: 'unpack' }>): Promise<WorkAnswer> {
  removeBelow(directory, removed)
  const fd = fs.openSync(archive, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW)
  try {
    const isArchive = fs.fstatSync(fd).size === 0 || (await unpackInto(fd, '', () => directory))
    if (isArchive) return { kind: 'done' }
    throw fault.invalidArgument(
      'build.context_invalid',
      'the build context is no tar archive (plain, or with gzip, zstd, bzip2 or xz)',
    )
  } finally {
    fs.closeSync(fd)
  }
}

/** WORKDIR makes what is missing and leaves what is there as it is. */
const makeDirectory = ({ view, path }: Extract<WorkRequest, { op: 'directory' }>): Promise<WorkAnswer> =>
  inRoot(view, (root) => {
    const at = resolveInRoot(root, path)
    if (!fs.statSync(at, { throwIfNoEntry: false })) fs.mkdirSync(at, { recursive: true, mode: 0o755 })
    return { kind: 'done' }
  })

async function inRoot(
  { dataRoot, lower, upper, work }: WrittenView,
  use: (root: string) => WorkAnswer | Promise<WorkAnswer>,
): Promise<WorkAnswer> {
  const root = `${stage}/root`
  mountOverlay(dataRoot, root, lower, { upper, work })
  try {
    return await use(root)
  } finally {
    process.chdir('/')
    umount(root, MNT_DETACH)
  }
}

const answer = (line: WorkAnswer): void => writeAll(ANSWERS, Buffer.from(`${JSON.stringify(line)}\n`))

function failureOf(error: unknown): WorkAnswer {
  const { kind, code, message, params } = Fault.from(
    diskFull(error, 'a layer') ?? error,
    'build.worker_failed',
  )
  return { kind: 'failed', fault: { kind, code, message, params } }
}

dieWithParent()
process.umask(0)
takeOwnMounts()
mount('scratch', stage, 'tmpfs', 0, 'mode=700')
for (const name of ['root', 'from']) fs.mkdirSync(`${stage}/${name}`, 0o755)
for await (const line of createInterface({ input: process.stdin })) {
  try {
    answer(await perform(JSON.parse(line) as WorkRequest))
  } catch (error) {
    answer(failureOf(error))
  }
}
