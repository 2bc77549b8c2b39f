import { fault } from '@berth/core'
import { fileSync } from '@berth/proto'
import { ARCHIVE_END, type ArchiveEntry, encodeEntry, paddingOf } from '@berth/runtime'
import { entryOf, hasContent, signatureOf } from './stat-entry.js'

const { Packet_PacketType: Kind } = fileSync
type Packet = fileSync.Packet

/** One directory of a client's, being sent. */
export interface PacketStream extends AsyncIterable<Packet> {
  write(packet: Packet): void
}

/** Files asked for before their turn: so many, of so many bytes together. */
const AHEAD_FILES = 64
const AHEAD_BYTES = 4 * 1024 * 1024
const ENTRIES_MAX = 2_000_000

const ROOT: ArchiveEntry = {
  ...{ name: './', type: 'directory', mode: 0o755, uid: 0, gid: 0, mtimeSeconds: 0, sizeBytes: 0 },
}

interface Wanted {
  readonly id: number
  readonly entry: ArchiveEntry
  readonly chunks: Buffer[]
  isWhole: boolean
}

/** Every file a client has, by path, and all that is told of it but its content. */
export type Listing = ReadonlyMap<string, string>

/** Looks at what there is, and says which of it need not come. */
export type Compare = (listing: Listing) => (path: string) => boolean

const EVERYTHING: Compare = () => () => false

/**
 * What a client sends, as a tar archive: unpacking one safely is known (nothing in it leads out of its directory), whatever the client tells.
 * Contents are asked for in order, some ahead, so that they come as they are written.
 * @throws build.session_invalid, build.context_changed
 */
export async function* receiveArchive(
  stream: PacketStream,
  compare: Compare = EVERYTHING,
): AsyncGenerator<Uint8Array> {
  const packets = stream[Symbol.asyncIterator]()
  try {
    const entries = await readEntries(packets, compare)
    // Of no files too it is an archive.
    yield encodeEntry(ROOT)
    yield* new Contents(stream, packets, entries).archive()
    stream.write(packetOf({ type: Kind.PACKET_FIN }))
    yield ARCHIVE_END
    await untilFin(packets)
  } finally {
    await packets.return?.(undefined)
  }
}

async function readEntries(
  packets: AsyncIterator<Packet>,
  compare: Compare,
): Promise<readonly (ArchiveEntry | undefined)[]> {
  const entries: (ArchiveEntry | undefined)[] = []
  const [paths, listing] = [[] as string[], new Map<string, string>()]
  for (;;) {
    const { type, stat, data } = await nextOf(packets)
    if (type === Kind.PACKET_ERR) throw refused(Buffer.from(data).toString())
    if (type !== Kind.PACKET_STAT) throw refused('contents come before they were asked for')
    if (!stat) break
    const entry = entryOf(stat)
    if (entries.push(entry) > ENTRIES_MAX) throw refused(`more than ${ENTRIES_MAX} files`)
    paths.push(stat.path)
    if (entry) listing.set(stat.path, signatureOf(stat))
  }
  const isKnown = compare(listing)
  return entries.map((entry, id) => (entry && isKnown(paths[id] ?? '') ? undefined : entry))
}

class Contents {
  private readonly asked = new Map<number, Wanted>()
  private next = 0
  private aheadBytes = 0

  constructor(
    private readonly stream: PacketStream,
    private readonly packets: AsyncIterator<Packet>,
    private readonly entries: readonly (ArchiveEntry | undefined)[],
  ) {}

  async *archive(): AsyncGenerator<Uint8Array> {
    for (const [id, entry] of this.entries.entries()) {
      if (!entry) continue
      yield encodeEntry(entry)
      if (!hasContent(entry)) continue
      this.askAhead(id)
      yield* this.content(id, entry)
      yield Buffer.alloc(paddingOf(entry.sizeBytes))
    }
  }

  private askAhead(current: number): void {
    this.next = Math.max(this.next, current)
    for (; this.next < this.entries.length && this.asked.size < AHEAD_FILES; this.next++) {
      const entry = this.entries[this.next]
      if (!hasContent(entry)) continue
      if (this.next > current && this.aheadBytes + entry.sizeBytes > AHEAD_BYTES) return
      this.aheadBytes += entry.sizeBytes
      this.asked.set(this.next, { id: this.next, entry, chunks: [], isWhole: false })
      this.stream.write(packetOf({ type: Kind.PACKET_REQ, id: this.next }))
    }
  }

  private async *content(id: number, entry: ArchiveEntry): AsyncGenerator<Uint8Array> {
    const wanted = this.asked.get(id)
    if (!wanted) throw refused('a file was passed over')
    let count = 0
    for (;;) {
      for (let chunk = wanted.chunks.shift(); chunk; chunk = wanted.chunks.shift()) {
        count += chunk.length
        if (count > entry.sizeBytes) throw changed(entry)
        yield chunk
      }
      if (wanted.isWhole) break
      this.take(await nextOf(this.packets))
    }
    if (count !== entry.sizeBytes) throw changed(entry)
    this.aheadBytes -= entry.sizeBytes
    this.asked.delete(id)
  }

  private take({ type, id, data }: Packet): void {
    if (type === Kind.PACKET_ERR) throw refused(Buffer.from(data).toString())
    const wanted = type === Kind.PACKET_DATA ? this.asked.get(id) : undefined
    if (!wanted || wanted.isWhole) throw refused('contents come that were not asked for')
    if (data.length === 0) wanted.isWhole = true
    else wanted.chunks.push(Buffer.from(data))
  }
}

async function untilFin(packets: AsyncIterator<Packet>): Promise<void> {
  for (let one = await packets.next(); !one.done; one = await packets.next()) {
    const { type, data } = one.value
    if (type === Kind.PACKET_ERR) throw refused(Buffer.from(data).toString())
    if (type === Kind.PACKET_FIN) return
  }
}

async function nextOf(packets: AsyncIterator<Packet>): Promise<Packet> {
  const one = await packets.next()
  if (one.done) throw refused('it ends in the middle')
  return one.value
}

const packetOf = (change: Partial<Packet>): Packet => fileSync.Packet.fromPartial(change)

const refused = (why: string) =>
  fault.failedPrecondition('build.session_invalid', `the client's files cannot be read: ${why.slice(0, 500)}`)

const changed = ({ name }: ArchiveEntry) =>
  fault.failedPrecondition('build.context_changed', `${name} changed while it was sent: build again`, {
    params: { path: name },
  })
