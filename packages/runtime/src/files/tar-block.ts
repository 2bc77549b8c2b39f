/** One entry as it goes into an archive. Names are bytes, kept as latin1 text, so that none is changed by a decoder. */
export interface ArchiveEntry {
  readonly name: string
  readonly type: 'file' | 'link' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo'
  readonly sizeBytes: number
  /** Permission bits with set-id and sticky. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtimeSeconds: number
  readonly linkname?: string
  readonly major?: number
  readonly minor?: number
  readonly xattrs?: readonly (readonly [string, Buffer])[]
  /** With a fraction; the seconds alone otherwise. */
  readonly mtimeText?: string
  /** More pax records. */
  readonly records?: readonly (readonly [string, string])[]
}

const BLOCK_BYTES = 512
const NAME_BYTES = 100
const PREFIX_BYTES = 155
const ID_MAX = 0o7777777
const SIZE_MAX = 0o77777777777
const FLAGS = {
  file: '0',
  link: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
} as const

/** The two blocks that close an archive. */
export const ARCHIVE_END = Buffer.alloc(2 * BLOCK_BYTES)
/** Zeros from the end of a body to the next block. */
export const paddingOf = (sizeBytes: number): number =>
  (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES

/** The header blocks of an entry: ustar, with a pax header before it for what ustar cannot say. */
export function encodeEntry(entry: ArchiveEntry): Buffer {
  const split = splitName(entry.name)
  const records = paxRecords(entry, split === undefined)
  const [prefix, name] = split ?? ['', entry.name.slice(0, NAME_BYTES)]
  const block = encodeBlock(entry, FLAGS[entry.type], prefix, name)
  if (records.length === 0) return block
  const body = Buffer.from(records.join(''), 'latin1')
  const pax = {
    ...entry,
    sizeBytes: body.length,
    major: 0,
    minor: 0,
    mode: 0o644,
    linkname: '',
    uid: 0,
    gid: 0,
  }
  const head = encodeBlock(pax, 'x', '', `PaxHeaders/${entry.name}`.slice(0, NAME_BYTES))
  return Buffer.concat([head, body, Buffer.alloc(paddingOf(body.length)), block])
}

/** Name and prefix of a ustar header; undefined when the name does not fit. */
function splitName(name: string): readonly [prefix: string, name: string] | undefined {
  if (name.length <= NAME_BYTES) return ['', name]
  const from = name.length - NAME_BYTES - 1
  const slash = name.indexOf('/', Math.max(from, 1))
  if (slash < 0 || slash > PREFIX_BYTES || slash === name.length - 1) return undefined
  return [name.slice(0, slash), name.slice(slash + 1)]
}

function paxRecords(entry: ArchiveEntry, isLong: boolean): readonly string[] {
  const { linkname = '', sizeBytes, uid, gid, mtimeSeconds } = entry
  return [
    ...(isLong ? [record('path', entry.name)] : []),
    ...(linkname.length > NAME_BYTES ? [record('linkpath', linkname)] : []),
    ...(sizeBytes > SIZE_MAX ? [record('size', String(sizeBytes))] : []),
    ...(uid > ID_MAX ? [record('uid', String(uid))] : []),
    ...(gid > ID_MAX ? [record('gid', String(gid))] : []),
    ...mtimeRecord(entry.mtimeText, mtimeSeconds),
    ...(entry.records ?? []).map(([key, value]) => record(key, value)),
    ...(entry.xattrs ?? []).map(([key, bytes]) => record(`SCHILY.xattr.${key}`, bytes.toString('latin1'))),
  ]
}

function mtimeRecord(text: string | undefined, seconds: number): readonly string[] {
  if (text !== undefined) return [record('mtime', text)]
  return seconds < 0 || seconds > SIZE_MAX ? [record('mtime', String(seconds))] : []
}

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  let length = rest.length
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return `${length}${rest}`
}

function encodeBlock(entry: ArchiveEntry, flag: string, prefix: string, name: string): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES)
  block.write(name, 0, NAME_BYTES, 'latin1')
  octal(block, 100, 7, entry.mode)
  octal(block, 108, 7, entry.uid > ID_MAX ? 0 : entry.uid)
  octal(block, 116, 7, entry.gid > ID_MAX ? 0 : entry.gid)
  octal(block, 124, 11, entry.sizeBytes > SIZE_MAX ? 0 : entry.sizeBytes)
  const mtime = entry.mtimeSeconds
  octal(block, 136, 11, mtime < 0 || mtime > SIZE_MAX ? 0 : mtime)
  block.write('        ', 148, 'latin1')
  block.write(flag, 156, 'latin1')
  block.write(entry.linkname ?? '', 157, NAME_BYTES, 'latin1')
  block.write('ustar\x0000', 257, 'latin1')
  octal(block, 329, 7, entry.major ?? 0)
  octal(block, 337, 7, entry.minor ?? 0)
  block.write(prefix, 345, PREFIX_BYTES, 'latin1')
  let sum = 0
  for (const byte of block) sum += byte
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

const octal = (block: Buffer, at: number, digits: number, value: number): void =>
  void block.write(value.toString(8).padStart(digits, '0').slice(-digits), at, 'latin1')
