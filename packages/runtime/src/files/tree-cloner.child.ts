import * as fs from 'node:fs'
import { fault } from '@berth/core'
import {
  changeDirectory,
  changeMode,
  linkHere,
  makeNode,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  openBelow,
  RESOLVE,
  readXattrs,
  writeXattr,
} from '../host/confined.js'
import { copyRange, dataSegments, setTimes, shareBlocks } from '../host/file-ranges.js'
import { errnoOf } from './failures.js'
import { isKeptXattr } from './kept-xattrs.js'

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NONBLOCK } = fs.constants
const DEPTH_MAX = 2_048
const HERE = Buffer.from('.')
const TYPE_BITS = 0o170000
/** Gone, or something else than a moment ago: whoever else works in the tree was faster. */
const CHANGED = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EINVAL', 'ENXIO', 'ESTALE'])
const TAKEN = new Set(['EEXIST'])
const NOT_TAKEN = new Set(['ENOTSUP', 'EOPNOTSUPP', 'EPERM', 'ENODATA'])

/** Where a file with several names lies in the clone. */
interface FirstName {
  readonly parts: readonly string[]
}

export interface CloneCount {
  files: number
  bytes: number
  /** Of the files, those that share their blocks with the original. */
  shared: number
}

/**
 * Makes a tree anew, entry by entry: blocks are shared where the file system can, holes stay holes; owners, modes, times, attributes, hard
 * links and special files are as they were. It steps by descriptors in both trees, follows no symlink, and stays on the source's file system.
 */
export class TreeCloner {
  readonly count: CloneCount = { files: 0, bytes: 0, shared: 0 }
  private readonly firstNames = new Map<string, FirstName>()
  private readonly device: bigint
  private canShare = true

  constructor(
    private readonly source: number,
    private readonly target: number,
  ) {
    this.device = fs.fstatSync(source, { bigint: true }).dev
  }

  run(): void {
    this.directory(this.source, this.target, [], fs.fstatSync(this.source, { bigint: true }))
  }

  private directory(source: number, target: number, parts: readonly string[], stat: fs.BigIntStats): void {
    if (parts.length > DEPTH_MAX)
      throw fault.failedPrecondition(
        'file.tree_too_deep',
        `the directories go deeper than ${DEPTH_MAX} levels`,
      )
    changeDirectory(source)
    const xattrs = keptXattrs(HERE)
    for (const name of stat.dev === this.device ? fs.readdirSync('.', 'latin1').sort() : [])
      this.entry(source, target, name, parts)
    changeDirectory(target)
    describe(HERE, stat, xattrs)
  }

  private entry(source: number, target: number, name: string, above: readonly string[]): void {
    const base = Buffer.from(name, 'latin1')
    const parts = [...above, name]
    changeDirectory(source)
    const stat = unlessChanged(() => fs.lstatSync(base, { bigint: true }))
    if (!stat) return
    const key = `${stat.dev}:${stat.ino}`
    const first = stat.nlink > 1n && !stat.isDirectory() ? this.firstNames.get(key) : undefined
    if (first) return void unlessTaken(() => this.link(target, base, first))
    // A directory that changes while it is listed may name an entry twice.
    const isMade = unlessTaken(() => this.make(source, target, base, stat, parts)) ?? false
    if (isMade && stat.nlink > 1n && !stat.isDirectory()) this.firstNames.set(key, { parts })
  }

  private make(
    source: number,
    target: number,
    base: Buffer,
    stat: fs.BigIntStats,
    parts: readonly string[],
  ): boolean {
    if (stat.isDirectory()) return this.subdirectory(target, base, parts)
    if (stat.isFile()) return this.file(source, target, base)
    const xattrs = keptXattrs(base)
    const link = stat.isSymbolicLink() ? unlessChanged(() => fs.readlinkSync(base, 'buffer')) : undefined
    if (stat.isSymbolicLink() && !link) return false
    changeDirectory(target)
    if (link) fs.symlinkSync(link, base)
    else makeNode(base, Number(stat.mode) & (TYPE_BITS | 0o7777), stat.rdev)
    describe(base, stat, xattrs)
    return true
  }

  private subdirectory(target: number, base: Buffer, parts: readonly string[]): boolean {
    const from = unlessChanged(() => fs.openSync(base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
    if (from === undefined) return false
    try {
      changeDirectory(target)
      fs.mkdirSync(base, 0o700)
      const to = fs.openSync(base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      try {
        this.directory(from, to, parts, fs.fstatSync(from, { bigint: true }))
      } finally {
        fs.closeSync(to)
      }
      return true
    } finally {
      fs.closeSync(from)
    }
  }

  private file(source: number, target: number, base: Buffer): boolean {
    changeDirectory(source)
    const from = unlessChanged(() => fs.openSync(base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK))
    if (from === undefined) return false
    try {
      const stat = fs.fstatSync(from, { bigint: true })
      if (!stat.isFile()) return false
      const xattrs = keptXattrs(base)
      changeDirectory(target)
      const to = fs.openSync(base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
      try {
        this.content(from, to, Number(stat.size))
      } finally {
        fs.closeSync(to)
      }
      describe(base, stat, xattrs)
      return true
    } finally {
      fs.closeSync(from)
    }
  }

  private content(from: number, to: number, sizeBytes: number): void {
    this.count.files += 1
    this.count.bytes += sizeBytes
    if (sizeBytes === 0) return
    this.canShare &&= shareBlocks(from, to)
    if (this.canShare) this.count.shared += 1
    else for (const segment of dataSegments(from, sizeBytes)) copyRange(from, to, segment)
    fs.ftruncateSync(to, sizeBytes)
  }

  private link(target: number, base: Buffer, { parts }: FirstName): void {
    const path = Buffer.from(parts.slice(0, -1).join('/') || '.', 'latin1')
    const from = openBelow(this.target, path, O_PATH | O_DIRECTORY, RESOLVE.beneath | RESOLVE.noSymlinks)
    try {
      changeDirectory(target)
      linkHere(from, Buffer.from(parts.at(-1) ?? '', 'latin1'), base)
    } finally {
      fs.closeSync(from)
    }
  }
}

type Xattrs = readonly (readonly [string, Buffer])[]

const keptXattrs = (name: Buffer): Xattrs => readXattrs(name).filter(([key]) => isKeptXattr(key))

/** Of a name in the working directory. The owner first: a change of it takes set-id bits and capabilities away. */
function describe(name: Buffer, stat: fs.BigIntStats, xattrs: Xattrs): void {
  fs.lchownSync(name, Number(stat.uid), Number(stat.gid))
  if (!stat.isSymbolicLink()) changeMode(name, Number(stat.mode) & 0o7777)
  for (const [key, bytes] of xattrs) {
    try {
      writeXattr(name, key, bytes)
    } catch (error) {
      if (!NOT_TAKEN.has(errnoOf(error) ?? '')) throw error
    }
  }
  setTimes(name, stat.atimeNs, stat.mtimeNs)
}

const unlessChanged = <T>(work: () => T): T | undefined => unless(CHANGED, work)
const unlessTaken = <T>(work: () => T): T | undefined => unless(TAKEN, work)

function unless<T>(errnos: ReadonlySet<string>, work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (errnos.has(errnoOf(error) ?? '')) return undefined
    throw error
  }
}
