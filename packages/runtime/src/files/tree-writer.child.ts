import * as fs from 'node:fs'
import { fault } from '@berth/core'
import {
  changeDirectory,
  changeMode,
  deviceNumber,
  linkHere,
  makeNode,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  openBelow,
  writeXattr,
} from '../host/confined.js'
import { setTimes, writeAt } from '../host/file-ranges.js'
import { S_IFBLK, S_IFCHR, S_IFIFO } from '../host/libc.js'
import { xattrsOf } from '../layers/tar-entry.js'
import type { TarHeader } from '../layers/tar-header.js'
import type { TarSink } from '../layers/tar-reader.js'
import { invalidArchive, placeOf, shown } from './archive-name.js'
import { errnoOf } from './failures.js'
import { idOutside } from './owners.js'
import type { IdShift } from './requests.js'
import { SparseBody, type SparseFile, sparseFileOf } from './sparse.js'
import { removeTree } from './tree-remover.child.js'

const { O_WRONLY, O_CREAT, O_EXCL, O_TRUNC, O_NONBLOCK } = fs.constants
const NOT_TAKEN = new Set(['ENOTSUP', 'EOPNOTSUPP', 'EPERM', 'ENODATA'])
const PARENT_MODE = 0o755
const SET_ID = 0o6000
const HERE = Buffer.from('.')

export interface WriterOptions {
  /** openat2's rules for directories on the way. */
  readonly resolve: number
  readonly noOverwriteDirNonDir: boolean
  readonly copyOwners: boolean
  /** The archive's own root gives its owner, mode and times to the directory. */
  readonly takesRoot: boolean
  readonly shift: IdShift | undefined
  /** Times to the nanosecond, and sparse files. */
  readonly isExact?: boolean
  /** For messages. */
  readonly path: string
}

/** Where the present entry goes. */
interface Place {
  readonly parent: number
  readonly base: Buffer
}

/**
 * Writes an archive's entries below a directory. Each is put into a directory that is held open under a name of one component, what was there
 * is taken away first, and nothing is opened that was there before: a symlink that is swapped meanwhile is never written through.
 */
export class TreeWriter implements TarSink {
  private parent: { readonly path: string; readonly fd: number } | undefined
  private open: OpenFile | undefined
  private readonly times: (readonly [parts: readonly string[], header: TarHeader])[] = []

  constructor(
    private readonly top: number,
    private readonly options: WriterOptions,
  ) {}

  entry(given: TarHeader): void {
    const sparse = this.options.isExact && given.type === 'file' ? sparseFileOf(given.pax) : undefined
    const header = sparse ? { ...given, name: sparse.name } : given
    const parts = placeOf(header.name, this.options.path)
    const last = parts.at(-1)
    if (last === undefined) return this.root(header)
    const place = { parent: this.enterParent(parts.slice(0, -1)), base: Buffer.from(last, 'latin1') }
    const there = fs.lstatSync(place.base, { throwIfNoEntry: false })
    if (there) this.assertReplaceable(header, there, place)
    if (header.type === 'directory') return this.directory(place, header, there, parts)
    if (there && !this.clear(place, header, there)) return
    this.write(place, header)
    if (sparse) this.expectSparse(sparse)
  }

  private expectSparse({ realSizeBytes }: SparseFile): void {
    if (!this.open) return
    const { fd } = this.open
    fs.ftruncateSync(fd, realSizeBytes)
    this.open.sparse = new SparseBody(realSizeBytes, (bytes, at) => writeAt(fd, bytes, at))
  }

  data(bytes: Buffer): void {
    if (!this.open) return
    if (this.open.sparse) return this.open.sparse.push(bytes)
    // In a loop: on a disk that fills up a write may take less than it was given, without an error.
    for (let at = 0; at < bytes.length; ) at += fs.writeSync(this.open.fd, bytes, at)
  }

  end(): void {
    if (!this.open) return
    const { fd, place, header } = this.open
    this.open = undefined
    try {
      fs.fchownSync(fd, ...this.owner(header))
      fs.fchmodSync(fd, header.mode)
      changeDirectory(place.parent)
      setXattrs(place.base, header)
      if (this.options.isExact) setTimes(place.base, ...exactTimes(header))
      else fs.futimesSync(fd, header.mtimeSeconds, header.mtimeSeconds)
    } finally {
      fs.closeSync(fd)
    }
  }

  /** Directory times last, from the inside out. */
  finish(): void {
    for (const [parts, header] of this.times.reverse()) this.setTime(parts, header)
  }

  private setTime(parts: readonly string[], header: TarHeader): void {
    try {
      const path = Buffer.from(parts.join('/') || '.', 'latin1')
      const fd = openBelow(this.top, path, O_DIRECTORY | O_NOFOLLOW, this.options.resolve)
      changeDirectory(fd)
      if (this.options.isExact) setTimes(HERE, ...exactTimes(header))
      else fs.futimesSync(fd, header.mtimeSeconds, header.mtimeSeconds)
      fs.closeSync(fd)
    } catch (error) {
      // A later entry of the archive, or the container, put something else there.
      if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) throw error
    }
  }

  private root(header: TarHeader): void {
    if (!this.options.takesRoot || header.type !== 'directory') return
    changeDirectory(this.top)
    this.describe(Buffer.from('.'), header)
    this.times.push([[], header])
  }

  /** docker's words. */
  private assertReplaceable(header: TarHeader, there: fs.Stats, place: Place): void {
    if (!this.options.noOverwriteDirNonDir) return
    const isDirectory = header.type === 'directory'
    if (there.isDirectory() === isDirectory) return
    const name = shown(place.base.toString('latin1'))
    throw fault.invalidArgument(
      'file.overwrite_refused',
      isDirectory
        ? `cannot overwrite non-directory ${name} with directory ${JSON.stringify(this.options.path)}`
        : `cannot overwrite directory ${name} with non-directory ${JSON.stringify(this.options.path)}`,
    )
  }

  /** Whether the place is free now. What is mounted there (/etc/hosts) cannot be replaced, so a file is written into. */
  private clear(place: Place, header: TarHeader, there: fs.Stats): boolean {
    try {
      removeTree(place.parent, place.base)
      changeDirectory(place.parent)
      return true
    } catch (error) {
      if (errnoOf(error) !== 'EBUSY' || header.type !== 'file' || !there.isFile()) throw error
      changeDirectory(place.parent)
      const fd = fs.openSync(place.base, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_NONBLOCK)
      this.open = { fd, place, header }
      return false
    }
  }

  private directory(
    place: Place,
    header: TarHeader,
    there: fs.Stats | undefined,
    parts: readonly string[],
  ): void {
    if (there && !there.isDirectory()) this.clear(place, header, there)
    if (!there?.isDirectory()) fs.mkdirSync(place.base, 0o700)
    const fd = fs.openSync(place.base, O_DIRECTORY | O_NOFOLLOW)
    try {
      changeDirectory(fd)
      this.describe(Buffer.from('.'), header)
    } finally {
      fs.closeSync(fd)
    }
    this.times.push([parts, header])
  }

  private describe(name: Buffer, header: TarHeader): void {
    fs.lchownSync(name, ...this.owner(header))
    fs.chmodSync(name, header.mode)
    setXattrs(name, header)
  }

  private write(place: Place, header: TarHeader): void {
    if (header.type === 'file') {
      const fd = fs.openSync(place.base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
      this.open = { fd, place, header }
    } else if (header.type === 'link') this.link(place, header)
    else if (header.type === 'symlink') {
      fs.symlinkSync(Buffer.from(header.linkname, 'latin1'), place.base)
      this.describeNode(place.base, header)
    } else {
      const kind = header.type === 'fifo' ? S_IFIFO : header.type === 'block' ? S_IFBLK : S_IFCHR
      const device = header.type === 'fifo' ? 0n : deviceNumber(header.major, header.minor)
      // The mode is set as it is made; a change of owner takes set-id bits away.
      makeNode(place.base, kind | (header.mode & 0o7777), device)
      this.describeNode(place.base, header)
      if (header.mode & SET_ID) changeMode(place.base, header.mode)
    }
  }

  /** A node is never opened. */
  private describeNode(base: Buffer, header: TarHeader): void {
    fs.lchownSync(base, ...this.owner(header))
    setXattrs(base, header)
    if (this.options.isExact) setTimes(base, ...exactTimes(header))
    else fs.lutimesSync(base, header.mtimeSeconds, header.mtimeSeconds)
  }

  /** The target is named from where the archive is unpacked; a directory on the way is opened by the same rules as any other. */
  private link(place: Place, header: TarHeader): void {
    const parts = placeOf(header.linkname, this.options.path)
    const last = parts.at(-1)
    if (last === undefined)
      throw invalidArchive(`hard link ${shown(header.name)} points to the directory itself`)
    const path = Buffer.from(parts.slice(0, -1).join('/') || '.', 'latin1')
    try {
      const from = openBelow(this.top, path, O_PATH | O_DIRECTORY, this.options.resolve)
      changeDirectory(place.parent)
      linkHere(from, Buffer.from(last, 'latin1'), place.base)
      fs.closeSync(from)
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR', 'EPERM', 'ELOOP', 'EXDEV'].includes(errnoOf(error) ?? '')) throw error
      throw invalidArchive(
        `hard link ${shown(header.name)} points to ${shown(header.linkname)}, which is not a file there`,
      )
    }
  }

  private owner(header: TarHeader): [uid: number, gid: number] {
    const { copyOwners, shift } = this.options
    return [idOutside(copyOwners ? header.uid : 0, shift), idOutside(copyOwners ? header.gid : 0, shift)]
  }

  /** The directory an entry goes into, made where it is missing; it is the working directory from then on. */
  private enterParent(parts: readonly string[]): number {
    const path = parts.join('/')
    if (this.parent?.path !== path) {
      if (this.parent) fs.closeSync(this.parent.fd)
      this.parent = undefined
      this.parent = { path, fd: this.openParent(parts) }
    }
    changeDirectory(this.parent.fd)
    return this.parent.fd
  }

  private openParent(parts: readonly string[]): number {
    const path = Buffer.from(parts.join('/') || '.', 'latin1')
    try {
      return openBelow(this.top, path, O_PATH | O_DIRECTORY, this.options.resolve)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || parts.length === 0) throw error
      const above = this.openParent(parts.slice(0, -1))
      changeDirectory(above)
      fs.closeSync(above)
      const name = Buffer.from(parts.at(-1) ?? '', 'latin1')
      fs.mkdirSync(name, PARENT_MODE)
      fs.lchownSync(name, idOutside(0, this.options.shift), idOutside(0, this.options.shift))
      return openBelow(this.top, path, O_PATH | O_DIRECTORY, this.options.resolve)
    }
  }
}

interface OpenFile {
  readonly fd: number
  readonly place: Place
  readonly header: TarHeader
  sparse?: SparseBody
}

/** As the archive has them, to the nanosecond; a time of access it has not. */
function exactTimes({ pax, mtimeSeconds }: TarHeader): [atimeNanos: bigint, mtimeNanos: bigint] {
  const [, sign = '', whole = '0', fraction = ''] = /^(-?)(\d+)(?:\.(\d*))?$/.exec(pax.mtime ?? '') ?? []
  const nanos =
    pax.mtime === undefined
      ? BigInt(mtimeSeconds) * 1_000_000_000n
      : BigInt(whole) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'))
  const signed = sign === '-' ? -nanos : nanos
  return [signed, signed]
}

function setXattrs(name: Buffer, header: TarHeader): void {
  for (const [key, value] of xattrsOf(header.pax)) {
    try {
      writeXattr(name, key, Buffer.from(value, 'latin1'))
    } catch (error) {
      if (!NOT_TAKEN.has(errnoOf(error) ?? '')) throw error
    }
  }
}
