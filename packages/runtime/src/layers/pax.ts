/** Key of an extended attribute in a pax header (GNU and BSD tar write the same). */
const BINARY = 'SCHILY.xattr.'

/** Pax records of one header block; attribute values are bytes, kept as latin1, everything else is UTF-8 unless told otherwise. Malformed records end the list. */
export function decodePax(block: Uint8Array, encoding: 'utf8' | 'latin1' = 'utf8'): Record<string, string> {
  const result: Record<string, string> = {}
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength)
  let offset = 0
  while (offset < bytes.length) {
    const space = bytes.indexOf(0x20, offset)
    const length = space < 0 ? Number.NaN : Number.parseInt(bytes.toString('latin1', offset, space), 10)
    if (!(length > space - offset) || offset + length > bytes.length) break
    const record = bytes.subarray(space + 1, offset + length - 1)
    const equals = record.indexOf(0x3d)
    if (equals < 0) break
    const key = record.toString('utf8', 0, equals)
    if (key !== '__proto__')
      result[key] = record.toString(key.startsWith(BINARY) ? 'latin1' : encoding, equals + 1)
    offset += length
  }
  return result
}
