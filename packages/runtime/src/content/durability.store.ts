import { readFileSync } from 'node:fs'
import { type Clock, systemClock } from '@berth/core'
import { FileSystemSync } from '../host/file-system-sync.js'
import type { Metadata } from '../metadata.store.js'

/** A barrier for the first layer of a pull would take disk and cores from the unpacking of the others; one for all of them costs less, and what a power cut may take waits two seconds longer. */
const BARRIER_DELAY_MS = 2_000

/**
 * What was written and may not be on the disk yet. It can be used at once, because the kernel has it; only a power cut in the next seconds can
 * take it. So the barrier runs in the background, and until it has passed the key is written down with the boot of the host: who opens the root
 * after another boot is told what not to trust. A pull or a load then costs no wait for the disk, and still nothing torn is ever used.
 */
export class Durability {
  private readonly disk: FileSystemSync
  private readonly pending = new Set<string>()
  private running: Promise<void> | undefined
  private hurry = new AbortController()

  constructor(
    root: string,
    private readonly metadata: Metadata,
    private readonly clock: Clock = systemClock,
    private readonly bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
  ) {
    this.disk = new FileSystemSync(root)
  }

  /** Call it in the transaction that makes the thing known. */
  later(key: string): void {
    this.metadata.db
      .prepare('INSERT OR REPLACE INTO unsynced (key, boot_id) VALUES (?, ?)')
      .run(key, this.bootId)
    this.pending.add(key)
    this.running ??= this.run().finally(() => {
      this.running = undefined
    })
  }

  /** A failure (the disk broke, the database was closed) leaves the keys written down, which is the safe side. */
  private async run(): Promise<void> {
    try {
      while (this.pending.size > 0) {
        await this.clock.sleep(BARRIER_DELAY_MS, this.hurry.signal).catch(() => {})
        const batch = [...this.pending]
        this.pending.clear()
        await this.disk.sync()
        this.metadata.transaction(() => {
          for (const key of batch) this.metadata.db.prepare('DELETE FROM unsynced WHERE key = ?').run(key)
        })
      }
    } catch {
      this.pending.clear()
    }
  }

  /** At the start: what a power cut may have torn. What only this process did not wait for is synced now. */
  distrusted(): readonly string[] {
    const rows = this.metadata.db.prepare('SELECT key, boot_id FROM unsynced').all()
    for (const row of rows) if (row.boot_id === this.bootId) this.later(String(row.key))
    return rows.filter((row) => row.boot_id !== this.bootId).map((row) => String(row.key))
  }

  /** It was checked, or is gone. */
  forget(key: string): void {
    this.metadata.db.prepare('DELETE FROM unsynced WHERE key = ?').run(key)
  }

  /** Everything up to now is on the disk; nothing is waited for but the disk. */
  async settle(): Promise<void> {
    this.hurry.abort()
    while (this.running) await this.running
    this.hurry = new AbortController()
  }
}
