import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Digest } from '@berth/core'
import { extract, type Header } from 'tar-stream'
import type { ContentStore, StagedBlob } from '../content/content.store.js'
import { compressionOf, decompressed } from '../layers/decompress.js'
import type { LayerStore, UnpackedLayer } from '../layers/layers.store.js'
import { ARCHIVE_JSON_MAX_BYTES, archivePath, invalidArchive } from './archive-layout.js'

export interface ArchiveFile extends StagedBlob {
  readonly compression: 'gzip' | 'zstd' | 'none'
  /** What looked like a layer is unpacked while the archive is still being read. */
  readonly unpacked: Promise<UnpackedLayer> | undefined
}

const ENTRIES_MAX = 20_000
/** Files of old docker archives that say nothing we need. */
const IGNORED = /(?:^|\/)VERSION$|^[0-9a-f]{64}\/json$/
const TAR_MAGIC_AT = 257

/**
 * The files of an image archive, staged beside the blobs, in one pass and without holding any of them in memory. Who opens one calls `discard`
 * at the end: what was not committed goes with it.
 */
export class ArchiveReader {
  private readonly files = new Map<string, ArchiveFile>()
  private readonly byDigest = new Map<Digest, ArchiveFile>()
  private readonly links = new Map<string, string>()
  private readonly adopted = new Set<ArchiveFile>()
  private readonly taken = new Set<UnpackedLayer>()
  private entries = 0

  constructor(
    private readonly deps: { readonly content: ContentStore; readonly layers: LayerStore },
    private readonly signal: AbortSignal | undefined,
    private readonly onFile: (file: ArchiveFile) => void,
  ) {}

  /** @throws archive.invalid, host.disk_full */
  async readAll(source: AsyncIterable<Uint8Array>): Promise<void> {
    const archive = extract()
    const feeding = pipeline(Readable.from(decompressed(source), { objectMode: false }), archive, {
      ...(this.signal ? { signal: this.signal } : {}),
    })
    feeding.catch(() => {})
    for await (const entry of archive as unknown as AsyncIterable<
      AsyncIterable<Buffer> & { header: Header }
    >) {
      await this.place(entry.header, entry)
    }
    await feeding
  }

  private async place(header: Header, content: AsyncIterable<Buffer> & { resume?(): void }): Promise<void> {
    this.entries += 1
    if (this.entries > ENTRIES_MAX) throw invalidArchive(`it has more than ${ENTRIES_MAX} entries`)
    if (header.type === 'directory' || IGNORED.test(header.name)) return void content.resume?.()
    const path = archivePath(header.name)
    if (this.files.has(path) || this.links.has(path)) throw invalidArchive(`${path} is there twice`)
    if (header.type === 'symlink' || header.type === 'link') {
      const base = header.type === 'link' ? '' : `${path}/../`
      this.links.set(path, archivePath(`${base}${header.linkname ?? ''}`))
      return void content.resume?.()
    }
    if (header.type !== 'file' && header.type !== 'contiguous-file')
      throw invalidArchive(`${path} is neither file, directory nor link`)
    this.keep(path, await this.stage(content))
  }

  private async stage(content: AsyncIterable<Buffer>): Promise<ArchiveFile> {
    const head = { bytes: Buffer.alloc(0) }
    const staged = await this.deps.content.stage(watched(content, head))
    const known = this.byDigest.get(staged.digest)
    if (known) {
      this.deps.content.discardStaged([staged])
      return known
    }
    const compression = compressionOf(head.bytes)
    const isTar = head.bytes.toString('latin1', TAR_MAGIC_AT, TAR_MAGIC_AT + 5) === 'ustar'
    const isLayer = compression !== 'none' || isTar || isZeros(head.bytes)
    const unpacked = isLayer
      ? this.deps.layers.unpack(staged.path, {
          ...(compression === 'none' ? { plainDigest: staged.digest } : {}),
          ...(this.signal ? { signal: this.signal } : {}),
        })
      : undefined
    unpacked?.catch(() => {})
    return { ...staged, compression, unpacked }
  }

  private keep(path: string, file: ArchiveFile): void {
    this.files.set(path, file)
    this.byDigest.set(file.digest, file)
    this.onFile(file)
  }

  has(path: string): boolean {
    return this.files.has(path)
  }

  /** A document of the archive; never through a link. @throws archive.invalid */
  async document(path: string): Promise<Buffer> {
    const file = this.files.get(path)
    if (!file) throw invalidArchive(`${path} is missing or a link`)
    return this.bytes(file)
  }

  async bytes(file: ArchiveFile): Promise<Buffer> {
    if (file.sizeBytes > ARCHIVE_JSON_MAX_BYTES) throw invalidArchive('a document in it is larger than 4 MiB')
    const chunks: Buffer[] = []
    for await (const chunk of createReadStream(file.path)) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks)
  }

  /** Old docker archives link a layer that occurs twice; links lead to files of the archive and nowhere else. @throws archive.invalid */
  layer(path: string): ArchiveFile {
    const file = this.files.get(path) ?? this.files.get(this.links.get(path) ?? '')
    if (!file) throw invalidArchive(`the layer ${path} is missing`)
    return file
  }

  find(digest: Digest): ArchiveFile | undefined {
    return this.byDigest.get(digest)
  }

  /** The unpacked directory, once: it becomes a layer of whoever takes it. */
  async take(file: ArchiveFile): Promise<UnpackedLayer | undefined> {
    const unpacked = await file.unpacked
    if (!unpacked || this.taken.has(unpacked)) return undefined
    this.taken.add(unpacked)
    return unpacked
  }

  async commit(files: readonly ArchiveFile[]): Promise<void> {
    const unique = [...new Set(files)].filter((file) => !this.adopted.has(file))
    await this.deps.content.commitStaged(unique)
    for (const file of unique) this.adopted.add(file)
  }

  /** Idempotent. */
  async discard(): Promise<void> {
    const rest = [...this.byDigest.values()].filter((file) => !this.adopted.has(file))
    for (const file of this.byDigest.values()) {
      const unpacked = await file.unpacked?.catch(() => undefined)
      if (unpacked && !this.taken.has(unpacked)) await this.deps.layers.discard(unpacked)
    }
    this.deps.content.discardStaged(rest)
  }
}

const HEAD_BYTES = 512

async function* watched(source: AsyncIterable<Buffer>, head: { bytes: Buffer }): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    if (head.bytes.length < HEAD_BYTES)
      head.bytes = Buffer.concat([head.bytes, chunk.subarray(0, HEAD_BYTES)])
    yield chunk
  }
}

/** An empty layer is two blocks of zeros. */
const isZeros = (head: Buffer): boolean =>
  head.length >= HEAD_BYTES && head.subarray(0, HEAD_BYTES).every((byte) => byte === 0)
