import * as fs from 'node:fs'
import type { Outbox } from '../../files/outbox.child.js'
import { ARCHIVE_END, type ArchiveEntry, encodeEntry, paddingOf } from '../../files/tar-block.js'
import { deviceParts, readXattrs } from '../../host/confined.js'

type Common = Omit<ArchiveEntry, 'name' | 'type' | 'sizeBytes'>

const MARK = { mode: 0o600, uid: 0, gid: 0, mtimeSeconds: 0, sizeBytes: 0, type: 'file' } as const
const OPAQUE = 'trusted.overlay.opaque'

export interface WrittenLayer {
  readonly fileBytes: number
  readonly entries: number
}

/**
 * An overlay's upper directory, which nobody writes to any more, as a layer's archive: names in the order of bytes, whiteouts and opaque marks
 * as OCI has them. The same directory gives the same bytes. Works in the directory, so that paths have their full length.
 */
export class LayerTar {
  private fileBytes = 0
  private entries = 0
  private readonly firstNames = new Map<string, string>()

  constructor(
    private readonly out: Outbox,
    private readonly clampSeconds: number | undefined,
  ) {}

  write(upper: string): WrittenLayer {
    process.chdir(upper)
    this.content('')
    this.out.write(ARCHIVE_END)
    this.out.flush()
    return { fileBytes: this.fileBytes, entries: this.entries }
  }

  private content(dir: string): void {
    const names = fs.readdirSync(dir === '' ? '.' : Buffer.from(dir, 'latin1'), 'latin1') as string[]
    for (const name of names.sort()) this.entry(dir === '' ? name : `${dir}/${name}`)
  }

  private entry(name: string): void {
    const path = Buffer.from(name, 'latin1')
    const stat = fs.lstatSync(path)
    if (stat.isSocket()) return
    this.entries += 1
    if (stat.isCharacterDevice() && stat.rdev === 0) return this.put({ ...MARK, name: whiteoutOf(name) })
    const attributes = readXattrs(path)
    this.clamp(path, stat)
    const common = { ...this.common(stat), xattrs: attributes.filter(([key]) => isKept(key)) }
    if (stat.isDirectory()) return this.directory(name, common, attributes)
    const first = stat.nlink > 1 ? this.firstNames.get(String(stat.ino)) : undefined
    if (first !== undefined)
      return this.put({ ...common, xattrs: [], name, type: 'link', linkname: first, sizeBytes: 0 })
    if (stat.nlink > 1) this.firstNames.set(String(stat.ino), name)
    if (stat.isFile()) return this.file(path, name, common, stat.size)
    this.put({ ...common, name, sizeBytes: 0, ...special(path, stat) })
  }

  private directory(name: string, common: Common, attributes: ReturnType<typeof readXattrs>): void {
    this.put({ ...common, name: `${name}/`, type: 'directory', sizeBytes: 0 })
    if (attributes.some(([key, value]) => key === OPAQUE && value.toString() === 'y'))
      this.put({ ...MARK, name: `${name}/.wh..wh..opq` })
    this.content(name)
  }

  private file(path: Buffer, name: string, common: Common, sizeBytes: number): void {
    this.fileBytes += sizeBytes
    this.put({ ...common, name, type: 'file', sizeBytes })
    const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW)
    try {
      this.out.file(fd, sizeBytes)
      this.out.zeros(paddingOf(sizeBytes))
    } finally {
      fs.closeSync(fd)
    }
  }

  /** The layer's directory is what its archive would unpack to. */
  private clamp(path: Buffer, stat: fs.Stats): void {
    if (this.clampSeconds === undefined || stat.mtimeMs <= this.clampSeconds * 1000) return
    fs.lutimesSync(path, this.clampSeconds, this.clampSeconds)
  }

  private common(stat: fs.Stats): Common {
    const mtime = Math.floor(stat.mtimeMs / 1000)
    return {
      mode: stat.mode & 0o7777,
      uid: stat.uid,
      gid: stat.gid,
      mtimeSeconds: Math.min(mtime, this.clampSeconds ?? mtime),
    }
  }

  private put(entry: ArchiveEntry): void {
    this.out.write(encodeEntry(entry))
  }
}

function whiteoutOf(name: string): string {
  const slash = name.lastIndexOf('/') + 1
  return `${name.slice(0, slash)}.wh.${name.slice(slash)}`
}

function special(path: Buffer, stat: fs.Stats): Pick<ArchiveEntry, 'type' | 'linkname' | 'major' | 'minor'> {
  if (stat.isSymbolicLink()) return { type: 'symlink', linkname: fs.readlinkSync(path, 'latin1') }
  if (stat.isFIFO()) return { type: 'fifo' }
  const [major, minor] = deviceParts(stat.rdev)
  return { type: stat.isBlockDevice() ? 'block' : 'char', major, minor }
}

/** Overlayfs's own are not the file's, and a label of a security module belongs to one host. */
const isKept = (key: string): boolean =>
  !/^(?:trusted|user)\.overlay\./.test(key) &&
  !['security.selinux', 'security.ima', 'security.evm'].includes(key)
