import type { Metadata } from '../../metadata.store.js'

/** A plugin's volume that it was asked to mount; known on disk before it is asked, until it has unmounted it. */
export interface HeldMount {
  /** What the plugin counts by. */
  readonly id: string
  readonly driver: string
  readonly volume: string
  /** Whom it is for: a container's id, or a piece of work. */
  readonly holder: string
}

export class HeldMounts {
  constructor(private readonly metadata: Metadata) {}

  insert({ id, driver, volume, holder }: HeldMount): void {
    this.metadata.db
      .prepare('INSERT INTO volume_mount (id, driver, volume, holder) VALUES (?, ?, ?, ?)')
      .run(id, driver, volume, holder)
  }

  remove(id: string): void {
    this.metadata.db.prepare('DELETE FROM volume_mount WHERE id = ?').run(id)
  }

  list(): readonly HeldMount[] {
    return this.metadata.db
      .prepare('SELECT id, driver, volume, holder FROM volume_mount ORDER BY id')
      .all() as unknown as readonly HeldMount[]
  }

  ofHolder(holder: string): readonly HeldMount[] {
    return this.list().filter((mount) => mount.holder === holder)
  }
}
