import { fault } from '@berth/core'
import type { fileSync } from '@berth/proto'
import type { ArchiveEntry } from '@berth/runtime'

/** Go's `os.FileMode`, whose upper bits are the kind. */
const GO = {
  directory: 2 ** 31,
  symlink: 2 ** 27,
  device: 2 ** 26,
  fifo: 2 ** 25,
  socket: 2 ** 24,
  setuid: 2 ** 23,
  setgid: 2 ** 22,
  charDevice: 2 ** 21,
  sticky: 2 ** 20,
  irregular: 2 ** 19,
} as const

const NANOS_PER_SECOND = 1_000_000_000n
const latin1 = (text: string): string => Buffer.from(text).toString('latin1')
const has = (mode: number, bit: number): boolean => Math.floor(mode / bit) % 2 === 1

/** What a client tells of one of its files, as an archive's entry; undefined for what no archive has (sockets). @throws build.session_invalid */
export function entryOf(stat: fileSync.Stat): ArchiveEntry | undefined {
  const type = typeOf(stat)
  if (type === undefined) return undefined
  const { mode, uid, gid, modTime, linkname, devmajor, devminor, xattrs } = stat
  return {
    ...{ type, uid, gid },
    name: `${latin1(cleanPath(stat.path))}${type === 'directory' ? '/' : ''}`,
    sizeBytes: type === 'file' ? Number(stat.size) : 0,
    mode: (mode & 0o777) | specialBits(mode),
    mtimeSeconds: Math.max(0, Number(modTime / NANOS_PER_SECOND)),
    ...(linkname === '' ? {} : { linkname: latin1(linkname) }),
    ...(type === 'char' || type === 'block' ? { major: Number(devmajor), minor: Number(devminor) } : {}),
    xattrs: Object.entries(xattrs).map(([name, value]) => [latin1(name), Buffer.from(value)] as const),
  }
}

/** Two files of the same signature have the same content, as far as times and sizes tell. */
export const signatureOf = (stat: fileSync.Stat): string => {
  const { mode, uid, gid, size, modTime, linkname, devmajor, devminor, xattrs } = stat
  const attributes = Object.entries(xattrs).map(([name, value]) => [
    name,
    Buffer.from(value).toString('base64'),
  ])
  return JSON.stringify([
    mode,
    uid,
    gid,
    `${size}`,
    `${modTime}`,
    linkname,
    `${devmajor}`,
    `${devminor}`,
    attributes,
  ])
}

/** Whether its content can be asked for. */
export const hasContent = (entry: ArchiveEntry | undefined): entry is ArchiveEntry =>
  entry?.type === 'file' && entry.sizeBytes > 0

function typeOf({ mode, linkname }: fileSync.Stat): ArchiveEntry['type'] | undefined {
  if (has(mode, GO.directory)) return 'directory'
  if (has(mode, GO.symlink)) return 'symlink'
  if (has(mode, GO.fifo)) return 'fifo'
  if (has(mode, GO.device)) return has(mode, GO.charDevice) ? 'char' : 'block'
  if (has(mode, GO.socket) || has(mode, GO.irregular)) return undefined
  return linkname === '' ? 'file' : 'link'
}

const specialBits = (mode: number): number =>
  (has(mode, GO.setuid) ? 0o4000 : 0) |
  (has(mode, GO.setgid) ? 0o2000 : 0) |
  (has(mode, GO.sticky) ? 0o1000 : 0)

function cleanPath(path: string): string {
  const parts = path.split('/')
  if (
    path !== '' &&
    !path.includes('\0') &&
    parts.every((part) => part !== '' && part !== '.' && part !== '..')
  )
    return path
  throw fault.invalidArgument(
    'build.session_invalid',
    `the client names a file ${JSON.stringify(path.slice(0, 200))}`,
  )
}
