import type { TarHeader } from '../layers/tar-header.js'
import { TarReader } from '../layers/tar-reader.js'

export async function bytesOf(archive: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of archive) parts.push(part)
  return Buffer.concat(parts)
}

/** In pieces that end anywhere. */
export async function* chunksOf(bytes: Buffer, size = 1_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

export interface ReadEntry {
  readonly header: TarHeader
  readonly body: string
}

/** What an archive has in it; names and bodies as latin1. */
export function entriesOf(archive: Buffer): readonly ReadEntry[] {
  const entries: { header: TarHeader; body: string }[] = []
  const sink = {
    entry: (header: TarHeader) => void entries.push({ header, body: '' }),
    data: (bytes: Buffer) => {
      const last = entries.at(-1)
      if (last) last.body += bytes.toString('latin1')
    },
    end: () => {},
  }
  const reader = new TarReader(sink, 'latin1')
  reader.push(archive)
  reader.finish()
  return entries
}
