import * as fs from 'node:fs'
import { fault } from '@berth/core'
import { resolveInRoot } from '../../containers/rootfs.exec.js'
import { errnoOf } from '../../files/failures.js'
import { TreeWriter } from '../../files/tree-writer.child.js'
import {
  changeDirectory,
  deviceParts,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  openBelow,
  RESOLVE,
  readXattrs,
} from '../../host/confined.js'
import type { TarHeader, TarType } from '../../layers/tar-header.js'
import { changedMode } from './chmod.js'
import { type Owner, parseChown } from './chown.js'
import { copyTarget } from './copy-target.js'
import type { CopyRequest } from './requests.js'
import type { SelectedEntry, SelectedSource } from './select.exec.js'
import type { OpenSource } from './source-tree.child.js'
import { unpackInto } from './unpack-archive.child.js'

const CHUNK_BYTES = 1 << 19
/** Of a target directory that was not there: the source's own is its content's parent only, often a private directory of who builds. */
const MADE_TARGET_MODE = 0o755
const IN_ROOT = RESOLVE.inRoot | RESOLVE.noMagicLinks
const STRICT = RESOLVE.beneath | RESOLVE.noSymlinks
const { O_RDONLY, O_NONBLOCK } = fs.constants

/**
 * Copies what was selected into a mounted root. Symlinks of the target are followed inside the root; a source is opened without following any,
 * below its own root, whatever happened to it since it was selected. @throws build.target_invalid, build.chown_invalid, build.chmod_invalid
 */
export class Copier {
  private readonly owner: Owner
  private readonly sourceFd: number
  private readonly rootFd: number
  private readonly writer: TreeWriter
  private readonly firstNames = new Map<string, string>()
  private readonly chunk = Buffer.allocUnsafe(CHUNK_BYTES)

  constructor(
    private readonly root: string,
    private readonly source: OpenSource,
    private readonly request: CopyRequest,
  ) {
    this.owner = ownerOf(root, request.chown)
    this.sourceFd = fs.openSync(Buffer.from(source.root, 'latin1'), O_PATH | O_DIRECTORY)
    this.rootFd = fs.openSync(root, O_PATH | O_DIRECTORY)
    this.writer = new TreeWriter(this.rootFd, {
      resolve: IN_ROOT,
      noOverwriteDirNonDir: false,
      copyOwners: true,
      takesRoot: false,
      shift: undefined,
      path: request.target,
    })
  }

  async copy(): Promise<void> {
    try {
      assertTarget(this.request.target, this.source.selected)
      for (const source of this.source.selected) await this.one(source)
      this.writer.finish()
    } catch (error) {
      throw targetFault(error, this.request.target)
    } finally {
      process.chdir('/')
      fs.closeSync(this.sourceFd)
      fs.closeSync(this.rootFd)
    }
  }

  private async one(source: SelectedSource): Promise<void> {
    const { target, selection, unpacksArchives } = this.request
    const there = fs.statSync(this.resolve(target), { throwIfNoEntry: false })
    const path = copyTarget(target, source, {
      isTargetDirectory: there?.isDirectory() ?? false,
      count: this.source.selected.length,
      keepsParents: selection.keepsParents,
    })
    const at = this.resolve(path)
    if (unpacksArchives && !source.isDirectory && (await this.unpack(source, target))) return
    const base = Buffer.from(at.slice(this.root.length + 1)).toString('latin1')
    const isThere = fs.statSync(at, { throwIfNoEntry: false })?.isDirectory() ?? false
    for (const entry of source.entries) {
      if (entry.name === '' && source.isDirectory && isThere) continue
      const name = [base, entry.name].filter((part) => part !== '').join('/')
      if (name !== '') this.entry(entry, name)
    }
  }

  private resolve(path: string): string {
    return resolveInRoot(this.root, path).replace(/\/$/, '')
  }

  /** Whether it was an archive, which goes into the target as a directory. */
  private async unpack({ entries }: SelectedSource, target: string): Promise<boolean> {
    const [file] = entries
    if (!file?.stat.isFile()) return false
    const fd = this.open(file)
    try {
      return await unpackInto(fd, this.root, () => this.resolve(target))
    } finally {
      fs.closeSync(fd)
    }
  }

  private open({ path }: SelectedEntry): number {
    return openBelow(this.sourceFd, Buffer.from(path, 'latin1'), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, STRICT)
  }

  private entry(entry: SelectedEntry, name: string): void {
    const { stat } = entry
    if (stat.isSocket()) return
    const key = `${stat.dev}:${stat.ino}`
    const first = stat.nlink > 1 && !stat.isDirectory() ? this.firstNames.get(key) : undefined
    const header = this.header(entry, name, first)
    this.writer.entry(header)
    if (header.type === 'file') this.content(entry, header)
    this.writer.end()
    if (stat.nlink > 1 && !stat.isDirectory()) this.firstNames.set(key, first ?? name)
  }

  private content(entry: SelectedEntry, { sizeBytes }: TarHeader): void {
    const fd = this.open(entry)
    try {
      for (let rest = sizeBytes; rest > 0; ) {
        const count = fs.readSync(fd, this.chunk, 0, Math.min(rest, CHUNK_BYTES), null)
        if (count === 0) break
        this.writer.data(this.chunk.subarray(0, count))
        rest -= count
      }
    } finally {
      fs.closeSync(fd)
    }
  }

  private header(entry: SelectedEntry, name: string, first: string | undefined): TarHeader {
    const { stat } = entry
    const type = first === undefined ? typeOf(stat) : 'link'
    const { chmod } = this.request
    const isMadeTarget = entry.name === '' && stat.isDirectory()
    const mode = isMadeTarget ? MADE_TARGET_MODE : stat.mode & 0o7777
    const [major, minor] = type === 'char' || type === 'block' ? deviceParts(stat.rdev) : [0, 0]
    changeDirectory(this.sourceFd)
    const path = Buffer.from(entry.path === '' ? '.' : entry.path, 'latin1')
    return {
      ...{ name, type, major, minor, ...this.owner },
      mode: chmod === undefined || type === 'symlink' ? mode : changedMode(chmod, mode, stat.isDirectory()),
      sizeBytes: type === 'file' ? stat.size : 0,
      mtimeSeconds: stat.mtimeMs / 1000,
      linkname: first ?? (type === 'symlink' ? fs.readlinkSync(path, 'latin1') : ''),
      pax: Object.fromEntries(
        readXattrs(path).map(([key, value]) => [`SCHILY.xattr.${key}`, value.toString('latin1')]),
      ),
    }
  }
}

function typeOf(stat: fs.Stats): TarType {
  if (stat.isDirectory()) return 'directory'
  if (stat.isSymbolicLink()) return 'symlink'
  if (stat.isFIFO()) return 'fifo'
  if (stat.isBlockDevice()) return 'block'
  return stat.isCharacterDevice() ? 'char' : 'file'
}

function ownerOf(root: string, chown: string | undefined): Owner {
  if (chown === undefined) return { uid: 0, gid: 0 }
  return parseChown(chown, textIn(root, '/etc/passwd'), textIn(root, '/etc/group'))
}

const TEXT_MAX_BYTES = 4 * 1024 * 1024

function textIn(root: string, path: string): string {
  const file = resolveInRoot(root, path)
  const stat = fs.lstatSync(file, { throwIfNoEntry: false })
  return stat?.isFile() && stat.size < TEXT_MAX_BYTES ? fs.readFileSync(file, 'utf8') : ''
}

/** docker's rule and words. */
function assertTarget(target: string, selected: readonly SelectedSource[]): void {
  if (selected.length <= 1 || /\/\.?$/.test(target)) return
  throw invalidTarget(
    'When using COPY with more than one source file, the destination must be a directory and end with a /',
  )
}

const invalidTarget = (why: string) => fault.invalidArgument('build.target_invalid', why)

function targetFault(error: unknown, target: string): unknown {
  if (errnoOf(error) === 'ENOTDIR') return invalidTarget(`cannot copy to non-directory: ${target}`)
  if (errnoOf(error) === 'ELOOP') return invalidTarget(`${target} has too many levels of symbolic links`)
  return error
}
