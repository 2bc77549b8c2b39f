import { createHash } from 'node:crypto'
import { closeSync, constants, openSync, read, readSync, type Stats } from 'node:fs'
import type { StatementSync } from 'node:sqlite'
import { promisify } from 'node:util'
import type { Metadata } from '../../metadata.store.js'

const readAside = promisify(read)

/** A file may change twice within the clock's grain: what is younger is not remembered. */
const SETTLED_MS = 100
const KEPT_MAX = 200_000

/**
 * Checksums that need not be computed again: of a file that has the same inode, size and times as before, and of what was selected from a chain
 * of layers, which never changes.
 */
export class Digests {
  private known: StatementSync | undefined

  constructor(
    private readonly metadata: Metadata,
    private readonly nowMs: () => number,
  ) {}

  /** sha256 of a file's content, as hex. */
  async ofFile(path: Buffer, stat: Stats): Promise<string> {
    const key = `${stat.dev}:${stat.ino}`
    const stamp = `${stat.size}:${stat.mtimeMs}:${stat.ctimeMs}`
    this.known ??= this.metadata.db.prepare('SELECT stamp, digest FROM build_file WHERE inode = ?')
    const row = this.known.get(key)
    if (row?.stamp === stamp) return String(row.digest)
    const digest = await hashOf(path, stat.size)
    if (this.nowMs() - stat.ctimeMs > SETTLED_MS) this.pending.set(key, { stamp, digest })
    return digest
  }

  private readonly pending = new Map<string, { readonly stamp: string; readonly digest: string }>()

  /** Writes down what was learnt, in one commit. */
  settle(): void {
    if (this.pending.size === 0) return
    this.metadata.lazily(() => {
      const { db } = this.metadata
      const insert = db.prepare('INSERT OR REPLACE INTO build_file (inode, stamp, digest) VALUES (?, ?, ?)')
      for (const [key, { stamp, digest }] of this.pending) insert.run(key, stamp, digest)
      db.prepare('DELETE FROM build_file WHERE rowid <= (SELECT max(rowid) FROM build_file) - ?').run(
        KEPT_MAX,
      )
    })
    this.pending.clear()
  }

  ofSelection(key: string): string | undefined {
    const row = this.metadata.db.prepare('SELECT digest FROM build_selection WHERE key = ?').get(key)
    return row && String(row.digest)
  }

  keepSelection(key: string, digest: string): void {
    this.metadata.lazily(() => {
      const { db } = this.metadata
      db.prepare('INSERT OR REPLACE INTO build_selection (key, digest) VALUES (?, ?)').run(key, digest)
      db.prepare(
        'DELETE FROM build_selection WHERE rowid <= (SELECT max(rowid) FROM build_selection) - ?',
      ).run(KEPT_MAX)
    })
  }
}

const SMALL_BYTES = 64 * 1024
const CHUNK_BYTES = 1 << 19
/** Used again: touching fresh memory for every file takes several times as long as reading and adding up what goes into it. */
const buffers: Buffer[] = []

/** A small file at once, which is over sooner than a turn of the event loop; of a large one a piece per turn. */
async function hashOf(path: Buffer, sizeBytes: number): Promise<string> {
  const buffer = buffers.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES)
  const hash = createHash('sha256')
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  const next = async () =>
    sizeBytes <= SMALL_BYTES
      ? readSync(fd, buffer)
      : (await readAside(fd, buffer, 0, CHUNK_BYTES, null)).bytesRead
  try {
    for (let count = await next(); count > 0; count = await next()) hash.update(buffer.subarray(0, count))
  } finally {
    closeSync(fd)
    buffers.push(buffer)
  }
  return hash.digest('hex')
}
