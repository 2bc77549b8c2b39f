import { gzipSync, zstdCompressSync } from 'node:zlib'

/** One entry as it shall stand in the archive, however hostile: nothing is checked or cleaned. */
export interface TarEntry {
  readonly name: string
  /** `file` by default. */
  readonly type?: 'file' | 'link' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo' | 'socket'
  readonly body?: string | Uint8Array
  readonly linkname?: string
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly major?: number
  readonly minor?: number
  readonly mtimeSeconds?: number
  /** Raw pax records, e.g. `{ 'SCHILY.xattr.user.x': 'y' }`. */
  readonly pax?: Readonly<Record<string, string>>
  /** The size field when it shall lie about the body. */
  readonly claimedSize?: number
}

const BLOCK = 512
/** POSIX ustar type flags; `socket` has none in the standard and is written as an unknown one. */
const FLAGS = {
  file: '0',
  link: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
  socket: 's',
} as const
const PAX_FLAG = 'x'
const NAME_MAX = 100

/** An uncompressed archive of exactly these entries, with its two closing blocks. */
export function tarOf(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.flatMap(encode), Buffer.alloc(2 * BLOCK)])
}

export const gzipOf = (entries: readonly TarEntry[]): Buffer => gzipSync(tarOf(entries))
export const zstdOf = (entries: readonly TarEntry[]): Buffer => zstdCompressSync(tarOf(entries))

function encode(entry: TarEntry): Buffer[] {
  const long = Buffer.byteLength(entry.name) > NAME_MAX ? { path: entry.name } : {}
  const pax = { ...long, ...entry.pax }
  const body = Buffer.from(entry.body ?? '')
  const head = header(entry, FLAGS[entry.type ?? 'file'], entry.claimedSize ?? body.length)
  if (Object.keys(pax).length === 0) return [head, padded(body)]
  const records = Buffer.concat(Object.entries(pax).map(([key, value]) => paxRecord(key, value)))
  return [header({ name: 'pax' }, PAX_FLAG, records.length), padded(records), head, padded(body)]
}

/** `LENGTH key=value\n`, where LENGTH counts itself. Values are bytes, one per character. */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.from(` ${key}=${value}\n`, 'latin1')
  let length = rest.length
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return Buffer.concat([Buffer.from(String(length)), rest])
}

function header(entry: TarEntry, flag: string, size: number): Buffer {
  const block = Buffer.alloc(BLOCK)
  const text = (at: number, length: number, value: string) =>
    Buffer.from(value).copy(block, at, 0, Math.min(length, Buffer.byteLength(value)))
  const octal = (at: number, length: number, value: number) =>
    text(at, length, `${value.toString(8).padStart(length - 1, '0')}\0`)
  text(0, NAME_MAX, entry.name)
  octal(100, 8, entry.mode ?? (entry.type === 'directory' ? 0o755 : 0o644))
  octal(108, 8, entry.uid ?? 0)
  octal(116, 8, entry.gid ?? 0)
  octal(124, 12, size)
  octal(136, 12, entry.mtimeSeconds ?? 0)
  text(156, 1, flag)
  text(157, 100, entry.linkname ?? '')
  text(257, 8, 'ustar\u000000')
  octal(329, 8, entry.major ?? 0)
  octal(337, 8, entry.minor ?? 0)
  block.fill(' ', 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  text(148, 8, `${sum.toString(8).padStart(6, '0')}\0 `)
  return block
}

function padded(body: Buffer): Buffer {
  const tail = body.length % BLOCK
  return tail === 0 ? body : Buffer.concat([body, Buffer.alloc(BLOCK - tail)])
}
