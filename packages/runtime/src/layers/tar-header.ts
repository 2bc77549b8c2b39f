import { fault } from '@berth/core'
import { decodePax } from './pax.js'

/** One entry of an archive, with what pax and GNU extension records before it said. */
export interface TarHeader {
  readonly name: string
  readonly type: TarType
  readonly sizeBytes: number
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtimeSeconds: number
  readonly linkname: string
  readonly major: number
  readonly minor: number
  readonly pax: Readonly<Record<string, string>>
}
export type TarType = 'file' | 'link' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo'
/** A block that only says something about the entry that follows. */
export type ExtensionType = 'pax' | 'global-pax' | 'long-name' | 'long-link'

/** How names become text: `latin1` keeps every byte of names that are not UTF-8. */
export type NameEncoding = 'utf8' | 'latin1'

export const BLOCK_BYTES = 512
const TYPES: Readonly<Record<string, TarType | ExtensionType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
  x: 'pax',
  g: 'global-pax',
  L: 'long-name',
  K: 'long-link',
}
const EXTENSIONS: ReadonlySet<string> = new Set(['pax', 'global-pax', 'long-name', 'long-link'])

export const invalidTar = (why: string) =>
  fault.invalidArgument('image.layer_invalid', `the archive cannot be read: ${why}`)

export type RawHeader = Omit<TarHeader, 'type' | 'pax'> & { readonly type: TarType | ExtensionType }

export const isExtension = (header: RawHeader): boolean => EXTENSIONS.has(header.type)

export const isZeroBlock = (block: Buffer): boolean => {
  for (let i = 0; i < BLOCK_BYTES; i++) if (block[i] !== 0) return false
  return true
}

/** One 512-byte header as it stands. @throws image.layer_invalid for a wrong checksum, number or type */
export function decodeBlock(block: Buffer, encoding: NameEncoding = 'utf8'): RawHeader {
  if (number(block, 148, 8) !== checksum(block)) throw invalidTar('a header has a wrong checksum')
  const prefix =
    block.toString('latin1', 257, 262) === 'ustar' && block[262] === 0 ? text(block, 345, 155, encoding) : ''
  const short = text(block, 0, 100, encoding)
  const name = prefix === '' ? short : `${prefix}/${short}`
  const flag = String.fromCharCode(block[156] ?? 0)
  const type = TYPES[flag]
  if (type === undefined)
    throw invalidTar(
      `entry ${JSON.stringify(name.slice(0, 200))} has the unsupported type ${JSON.stringify(flag)}`,
    )
  return {
    name,
    type,
    sizeBytes: natural(number(block, 124, 12)),
    mode: number(block, 100, 8) & 0o7777,
    uid: natural(number(block, 108, 8)),
    gid: natural(number(block, 116, 8)),
    mtimeSeconds: number(block, 136, 12),
    linkname: text(block, 157, 100, encoding),
    major: number(block, 329, 8),
    minor: number(block, 337, 8),
  }
}

function natural(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw invalidTar('a number is out of range')
  return value
}

/** The sum of all bytes, those of the checksum itself counted as blanks. */
function checksum(block: Buffer): number {
  let sum = 8 * 0x20
  for (let i = 0; i < 148; i++) sum += block[i] ?? 0
  for (let i = 156; i < BLOCK_BYTES; i++) sum += block[i] ?? 0
  return sum
}

function text(block: Buffer, at: number, length: number, encoding: NameEncoding): string {
  const end = block.indexOf(0, at)
  return block.toString(encoding, at, end < 0 || end > at + length ? at + length : end)
}

/** Octal digits, or GNU's base 256 when the first bit is set. */
function number(block: Buffer, at: number, length: number): number {
  const first = block[at] ?? 0
  if (first & 0x80) return base256(block, at, length)
  const digits = block
    .toString('latin1', at, at + length)
    .replace(/[\0 ]+$/, '')
    .trimStart()
  const end = digits.search(/[\0 ]/)
  const clean = end < 0 ? digits : digits.slice(0, end)
  if (clean === '') return 0
  if (!/^[0-7]+$/.test(clean)) throw invalidTar('a number is not octal')
  return Number.parseInt(clean, 8)
}

function base256(block: Buffer, at: number, length: number): number {
  const isNegative = ((block[at] ?? 0) & 0x40) !== 0
  let value = isNegative ? -1 : (block[at] ?? 0) & 0x3f
  if (isNegative) value = ((block[at] ?? 0) & 0x3f) - 0x40
  for (let i = at + 1; i < at + length; i++) value = value * 256 + (block[i] ?? 0)
  if (!Number.isSafeInteger(value)) throw invalidTar('a number is out of range')
  return value
}

/** What extension blocks said about the next entry. */
export interface Extensions {
  readonly pax: Readonly<Record<string, string>>
  readonly longName: string | undefined
  readonly longLink: string | undefined
}
export const NO_EXTENSIONS: Extensions = { pax: {}, longName: undefined, longLink: undefined }

export function addExtension(
  known: Extensions,
  type: ExtensionType,
  body: Buffer,
  encoding: NameEncoding = 'utf8',
): Extensions {
  const words = () => body.toString(encoding).replace(/\0.*$/s, '')
  switch (type) {
    case 'pax':
    case 'global-pax':
      return { ...known, pax: { ...known.pax, ...decodePax(body, encoding) } }
    case 'long-name':
      return { ...known, longName: words() }
    case 'long-link':
      return { ...known, longLink: words() }
  }
}

/** The entry with its extensions in force. @throws image.layer_invalid for sparse files, unless wanted, and numbers that are none */
export function withExtensions(
  raw: RawHeader,
  { pax, longName, longLink }: Extensions,
  takesSparse = false,
): TarHeader {
  const sparse = !takesSparse && Object.keys(pax).some((key) => key.startsWith('GNU.sparse.'))
  if (sparse) throw invalidTar('sparse files are not supported')
  const name = pax.path ?? longName ?? raw.name
  const count = (key: string, fallback: number) =>
    pax[key] === undefined ? fallback : natural(decimal(pax[key]))
  const type = raw.type as TarType
  return {
    ...raw,
    name,
    // Archives older than ustar mark directories by a slash; only the whole name tells, not the hundred bytes of a long one.
    type: type === 'file' && name.endsWith('/') ? 'directory' : type,
    linkname: pax.linkpath ?? longLink ?? raw.linkname,
    sizeBytes: count('size', raw.sizeBytes),
    uid: count('uid', raw.uid),
    gid: count('gid', raw.gid),
    mtimeSeconds: pax.mtime === undefined ? raw.mtimeSeconds : decimal(pax.mtime),
    pax,
  }
}

function decimal(value: string): number {
  if (!/^-?\d{1,20}(?:\.\d{0,20})?$/.test(value)) throw invalidTar('a pax number is not decimal')
  return Number(value)
}
