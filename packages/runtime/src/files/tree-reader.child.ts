import * as fs from 'node:fs'
import { fault } from '@berth/core'
import { changeDirectory, deviceParts, O_DIRECTORY, O_NOFOLLOW, readXattrs } from '../host/confined.js'
import { dataSegments } from '../host/file-ranges.js'
import { errnoOf } from './failures.js'
import { isKeptXattr } from './kept-xattrs.js'
import type { Outbox } from './outbox.child.js'
import { idInside } from './owners.js'
import { nameBelow } from './requested-path.js'
import type { IdShift } from './requests.js'
import { closedPieces, encodeSparseMap, sparseRecords } from './sparse.js'
import { ARCHIVE_END, type ArchiveEntry, encodeEntry, paddingOf } from './tar-block.js'

const { O_RDONLY, O_NONBLOCK } = fs.constants
/** Of a path's 4,096 bytes no more than half can be slashes. */
const DEPTH_MAX = 2_048
const HERE = Buffer.from('.')
/** proc, sysfs, cgroup, cgroup2, devpts, mqueue, securityfs, debugfs, tracefs, bpf. */
const NO_FILES = new Set([
  0x9fa0, 0x62656572, 0x27e0eb, 0x63677270, 0x1cd1, 0x19800202, 0x73636673, 0x64626720, 0x74726163,
  0xcafe4a11,
])
/** Gone, or something else than a moment ago: whoever else works in the tree was faster. */
const CHANGED = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EINVAL', 'ENXIO', 'ESTALE'])
/** Not even root may read them: docker leaves them out too. */
const CLOSED = new Set(['EACCES', 'EPERM'])

/**
 * Writes a tree as an archive, in the order of bytes. It steps from directory to directory by descriptors and follows no symlink, whatever
 * happens to the tree meanwhile; what vanishes is left out.
 */
export class TreeReader {
  private here = -1
  private depth = 0
  private readonly firstNames = new Map<string, string>()

  constructor(
    private readonly out: Outbox,
    private readonly shift?: IdShift,
    /** Times to the nanosecond and holes as holes: for a reader of ours. */
    private readonly isExact = false,
  ) {}

  /** A file, or a directory with all that is in it. */
  tree(directory: number, base: Buffer, name: string): void {
    const stat = this.lstat(directory, base)
    if (!stat) return
    if (!stat.isDirectory()) return this.entry(directory, base, name, stat)
    const fd = this.open(directory, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    if (fd === undefined) return
    try {
      if (this.isKernels(fd, stat.dev, directory)) this.self(fd, name)
      else this.directory(fd, name)
    } finally {
      fs.closeSync(fd)
      this.forgetPlace()
    }
  }

  /** The directory behind the descriptor, itself first. */
  directory(fd: number, name: string): void {
    this.depth += 1
    if (this.depth > DEPTH_MAX)
      throw fault.failedPrecondition(
        'file.tree_too_deep',
        `the directories go deeper than ${DEPTH_MAX} levels`,
      )
    this.self(fd, name)
    this.content(fd, name)
    this.depth -= 1
  }

  /** The header of the directory alone. */
  self(fd: number, name: string): void {
    this.enter(fd)
    const fields = this.fields(fs.fstatSync(fd), HERE)
    const slashed = name.endsWith('/') ? name : `${name}/`
    this.write(encodeEntry({ ...fields, name: slashed, type: 'directory', sizeBytes: 0 }))
  }

  content(fd: number, name: string): void {
    this.enter(fd)
    for (const child of fs.readdirSync('.', 'latin1').sort())
      this.tree(fd, Buffer.from(child, 'latin1'), nameBelow(name, child))
  }

  /** Anything but a directory, by itself. */
  single(directory: number, base: Buffer, name: string): void {
    const stat = this.lstat(directory, base)
    if (stat) this.entry(directory, base, name, stat)
  }

  /** An empty file that says something by its name. */
  mark(name: string): void {
    const fields = { mode: 0o600, uid: 0, gid: 0, mtimeSeconds: 0, sizeBytes: 0 }
    this.write(encodeEntry({ ...fields, name, type: 'file' }))
  }

  /** A descriptor that was passed has been closed, and its number may come again. */
  forgetPlace(): void {
    this.here = -1
  }

  finish(): void {
    this.out.write(ARCHIVE_END)
    this.out.flush()
  }

  /** A mount of what is no file: /proc, /sys, and the devices that a container was given. Only the mount point is copied, as docker does. */
  private isKernels(fd: number, device: number, parent: number): boolean {
    if (fs.fstatSync(parent).dev === device) return false
    this.enter(fd)
    return NO_FILES.has(fs.statfsSync('.').type) || fs.existsSync('./ptmx')
  }

  private entry(directory: number, base: Buffer, name: string, stat: fs.Stats): void {
    const key = `${stat.dev}:${stat.ino}`
    const first = stat.nlink > 1 ? this.firstNames.get(key) : undefined
    if (first !== undefined) {
      const fields = this.fields(stat)
      return this.write(encodeEntry({ ...fields, name, type: 'link', linkname: first, sizeBytes: 0 }))
    }
    const isWritten = stat.isFile()
      ? this.file(directory, base, name)
      : this.special(directory, base, name, stat)
    if (isWritten && stat.nlink > 1) this.firstNames.set(key, name)
  }

  private file(directory: number, base: Buffer, name: string): boolean {
    const fd = this.open(directory, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    if (fd === undefined) return false
    try {
      const stat = fs.fstatSync(fd)
      if (!stat.isFile()) return false
      const fields = this.fields(stat, base)
      if (this.isExact && stat.blocks * 512 < stat.size) this.sparse(fd, stat, name, fields)
      else {
        this.write(encodeEntry({ ...fields, name, type: 'file', sizeBytes: stat.size }))
        this.out.file(fd, stat.size)
        this.out.zeros(paddingOf(stat.size))
      }
      this.here = -1
      return true
    } finally {
      fs.closeSync(fd)
    }
  }

  private sparse(fd: number, stat: fs.Stats, name: string, fields: Fields): void {
    const pieces = closedPieces(dataSegments(fd, stat.size), stat.size)
    const map = encodeSparseMap(pieces)
    const sizeBytes = pieces.reduce((sum, { length }) => sum + length, map.length)
    const records = sparseRecords(name, stat.size)
    this.write(encodeEntry({ ...fields, name: 'GNUSparseFile.0/file', type: 'file', sizeBytes, records }))
    this.write(map)
    for (const { at, length } of pieces) this.out.file(fd, length, at)
    this.out.zeros(paddingOf(sizeBytes))
  }

  /** Whether it is of a kind that an archive can hold: a socket is not. */
  private special(directory: number, base: Buffer, name: string, stat: fs.Stats): boolean {
    const described = this.describe(base, stat)
    if (!described) return false
    this.enter(directory)
    this.write(encodeEntry({ ...this.fields(stat, base), name, sizeBytes: 0, ...described }))
    return true
  }

  private describe(base: Buffer, stat: fs.Stats): Pick<ArchiveEntry, 'type'> | undefined {
    if (stat.isFIFO()) return { type: 'fifo' }
    if (stat.isSymbolicLink()) {
      const linkname = this.unlessChanged(() => fs.readlinkSync(base, 'latin1'))
      return linkname === undefined
        ? undefined
        : ({ type: 'symlink', linkname } as Pick<ArchiveEntry, 'type'>)
    }
    if (!stat.isBlockDevice() && !stat.isCharacterDevice()) return undefined
    const [major, minor] = deviceParts(stat.rdev)
    const type = stat.isBlockDevice() ? 'block' : 'char'
    return { type, major, minor } as Pick<ArchiveEntry, 'type'>
  }

  private fields(stat: fs.Stats, base?: Buffer): Fields {
    const xattrs = base ? readXattrs(base).filter(([key]) => isKeptXattr(key)) : []
    const exact =
      this.isExact && base ? this.unlessChanged(() => fs.lstatSync(base, { bigint: true })) : undefined
    return {
      mode: stat.mode & 0o7777,
      uid: idInside(stat.uid, this.shift),
      gid: idInside(stat.gid, this.shift),
      mtimeSeconds: Math.floor(stat.mtimeMs / 1000),
      xattrs,
      ...(exact ? { mtimeText: secondsOf(exact.mtimeNs) } : {}),
    }
  }

  private lstat(directory: number, base: Buffer): fs.Stats | undefined {
    this.enter(directory)
    return this.unlessChanged(() => fs.lstatSync(base))
  }

  private open(directory: number, base: Buffer, flags: number): number | undefined {
    this.enter(directory)
    return this.unlessChanged(() => fs.openSync(base, flags))
  }

  private unlessChanged<T>(work: () => T): T | undefined {
    try {
      return work()
    } catch (error) {
      const errno = errnoOf(error) ?? ''
      if (CHANGED.has(errno) || CLOSED.has(errno)) return undefined
      throw error
    }
  }

  private enter(directory: number): void {
    if (this.here === directory) return
    changeDirectory(directory)
    this.here = directory
  }

  /** Whoever takes the bytes may go to another directory. */
  private write(bytes: Buffer): void {
    this.out.write(bytes)
    this.here = -1
  }
}

type Fields = Omit<ArchiveEntry, 'name' | 'type' | 'sizeBytes'>

/** Nanoseconds as decimal seconds. */
function secondsOf(nanos: bigint): string {
  const rest = ((nanos % NANOS) + NANOS) % NANOS
  const whole = (nanos - rest) / NANOS
  // A fraction counts away from zero in a decimal, and upwards in a time.
  if (whole < 0n && rest > 0n) return `-${-whole - 1n}.${String(NANOS - rest).padStart(9, '0')}`
  return `${whole}.${String(rest).padStart(9, '0')}`
}

const NANOS = 1_000_000_000n
