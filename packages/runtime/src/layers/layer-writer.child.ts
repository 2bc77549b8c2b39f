import * as fs from 'node:fs'
import { Fault } from '@berth/core'
import { lsetxattr, mknod, S_IFBLK, S_IFCHR, S_IFIFO } from '../host/libc.js'
import { tooLarge } from './decompress.js'
import { planEntry, xattrsOf } from './tar-entry.js'
import { invalidTar, type TarHeader } from './tar-header.js'
import type { TarSink } from './tar-reader.js'

const ENTRIES_MAX = 2_000_000
const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants
const SPECIAL_BITS = 0o7000

const lstat = (path: string) => fs.lstatSync(path, { throwIfNoEntry: false })

/**
 * Writes entries below `/`, which is the layer's directory. Every call that a usual file does not need is left out: it is created with its
 * mode, belongs to root already, and its parent was seen before.
 */
export class LayerWriter implements TarSink {
  writtenBytes = 0
  private readonly explicitDirs = new Set<string>()
  private readonly implicitDirs = new Set<string>()
  private readonly dirTimes: (readonly [string, number])[] = []
  /** Known to be directories now; anything that takes something away empties it. */
  private readonly parents = new Set<string>()
  /** Below a set-group-id directory nothing is born as root's. */
  private hasSetgid = false
  private entries = 0
  private open: { readonly fd: number; readonly path: string; readonly header: TarHeader } | undefined

  entry(header: TarHeader): void {
    this.entries += 1
    if (this.entries > ENTRIES_MAX) throw tooLarge(`${ENTRIES_MAX} entries`)
    const action = planEntry(header.name)
    if (action.kind === 'skip') return
    if (action.kind === 'opaque') {
      if (action.dir !== '') this.ensureParent(`${action.dir}/x`)
      lsetxattr(`/${action.dir}`, 'trusted.overlay.opaque', Buffer.from('y'))
      return
    }
    this.ensureParent(action.path)
    if (action.kind === 'entry') return this.write(`/${action.path}`, action.path, header)
    this.clear(`/${action.path}`)
    mknod(`/${action.path}`, S_IFCHR, 0, 0)
  }

  data(bytes: Buffer): void {
    this.writtenBytes += bytes.length
    if (!this.open) return
    // In a loop: on a disk that fills up a write may take less than it was given, without an error.
    for (let at = 0; at < bytes.length; ) at += fs.writeSync(this.open.fd, bytes, at)
  }

  end(): void {
    if (!this.open) return
    const { fd, path, header } = this.open
    this.open = undefined
    try {
      if (this.needsOwner(header)) {
        fs.fchownSync(fd, header.uid, header.gid)
        fs.fchmodSync(fd, header.mode)
      } else if (header.mode & SPECIAL_BITS) fs.fchmodSync(fd, header.mode)
      setXattrs(path, header)
      fs.futimesSync(fd, header.mtimeSeconds, header.mtimeSeconds)
    } finally {
      fs.closeSync(fd)
    }
  }

  /** Directory times last, from the inside out. Gives the directories the archive only implied. */
  finish(): readonly string[] {
    for (const [path, mtime] of this.dirTimes.reverse())
      if (lstat(path)?.isDirectory()) fs.utimesSync(path, mtime, mtime)
    return [...this.implicitDirs].filter((dir) => !this.explicitDirs.has(dir))
  }

  private needsOwner(header: TarHeader): boolean {
    return header.uid !== 0 || header.gid !== 0 || this.hasSetgid
  }

  private ensureParent(path: string): void {
    const slash = path.lastIndexOf('/')
    if (slash <= 0) return
    const parent = path.slice(0, slash)
    if (this.parents.has(parent)) return
    if (!fs.statSync(`/${parent}`, { throwIfNoEntry: false })?.isDirectory()) {
      this.ensureParent(parent)
      this.clear(`/${parent}`)
      fs.mkdirSync(`/${parent}`, 0o755)
      this.implicitDirs.add(parent)
    }
    this.parents.add(parent)
  }

  private clear(path: string): void {
    if (!lstat(path)) return
    this.parents.clear()
    fs.rmSync(path, { recursive: true, force: true })
  }

  private write(path: string, name: string, header: TarHeader): void {
    switch (header.type) {
      case 'file':
        this.open = { fd: this.create(path, header.mode & ~SPECIAL_BITS), path, header }
        return
      case 'directory':
        return this.directory(path, name, header)
      case 'link':
        this.clear(path)
        return linkInside(header.linkname, path)
      case 'symlink':
        this.clear(path)
        fs.symlinkSync(header.linkname, path)
        fs.lchownSync(path, header.uid, header.gid)
        setXattrs(path, header)
        fs.lutimesSync(path, header.mtimeSeconds, header.mtimeSeconds)
        return
      default:
        return this.node(path, header)
    }
  }

  private create(path: string, mode: number): number {
    try {
      return fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      this.clear(path)
      return fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
    }
  }

  private directory(path: string, name: string, header: TarHeader): void {
    const there = lstat(path)
    if (there && !there.isDirectory()) this.clear(path)
    if (!there?.isDirectory()) fs.mkdirSync(path, header.mode & ~SPECIAL_BITS)
    this.implicitDirs.delete(name)
    if (there || this.needsOwner(header)) fs.lchownSync(path, header.uid, header.gid)
    if (there || this.needsOwner(header) || header.mode & SPECIAL_BITS) fs.chmodSync(path, header.mode)
    if (header.mode & 0o2000) this.hasSetgid = true
    setXattrs(path, header)
    this.dirTimes.push([path, header.mtimeSeconds])
    this.explicitDirs.add(name)
  }

  private node(path: string, header: TarHeader): void {
    this.clear(path)
    const kind = header.type === 'fifo' ? S_IFIFO : header.type === 'block' ? S_IFBLK : S_IFCHR
    mknod(
      path,
      kind | 0o600,
      header.type === 'fifo' ? 0 : header.major,
      header.type === 'fifo' ? 0 : header.minor,
    )
    fs.lchownSync(path, header.uid, header.gid)
    fs.chmodSync(path, header.mode)
    setXattrs(path, header)
    fs.utimesSync(path, header.mtimeSeconds, header.mtimeSeconds)
  }
}

function setXattrs(path: string, header: TarHeader): void {
  for (const [key, value] of xattrsOf(header.pax)) {
    try {
      lsetxattr(path, key, Buffer.from(value, 'latin1'))
    } catch (error) {
      if (!Fault.is(error) || !['ENOTSUP', 'EOPNOTSUPP', 'EPERM'].includes(String(error.params.errno)))
        throw error
    }
  }
}

/** A hard link's target is named from the layer's root and must be in this layer (CVE-2021-41089: its mode is never touched). */
function linkInside(linkname: string, path: string): void {
  const action = planEntry(linkname)
  const source = action.kind === 'entry' ? `/${action.path}` : ''
  const stat = source === '' ? undefined : lstat(source)
  if (!stat || stat.isDirectory())
    throw invalidTar(
      `hard link ${JSON.stringify(path)} points to ${JSON.stringify(linkname)}, which is not a file of this layer`,
    )
  fs.linkSync(source, path)
}
