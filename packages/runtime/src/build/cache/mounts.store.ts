import { chmodSync, chownSync, existsSync, mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Metadata } from '../../metadata.store.js'

export interface MountWish {
  readonly id: string
  readonly sharing: 'shared' | 'private' | 'locked'
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/** A cache mount's directory while a step has it. */
export interface HeldMount {
  readonly path: string
  /** It was made for this step, so it may be filled. */
  readonly isNew: boolean
  release(): void
}

export interface KeptMount {
  readonly id: string
  readonly dir: number
  readonly path: string
  readonly usedAtMs: number
  readonly uses: number
  readonly isHeld: boolean
}

/**
 * The directories of `RUN --mount=type=cache`, which outlive builds. Shared ones are had by all steps at once, locked ones by one after the other
 * (CVE-2024-23651), private ones by one each: a second step gets another directory.
 */
export class CacheMounts {
  private readonly base: string
  private readonly holders = new Map<number, { shared: number; exclusive: boolean }>()
  private readonly waiting = new Set<() => void>()

  constructor(
    root: string,
    private readonly metadata: Metadata,
    private readonly nowMs: () => number,
  ) {
    this.base = join(root, 'build', 'm')
    mkdirSync(this.base, { recursive: true, mode: 0o700 })
  }

  /** Waits while others exclude this one. @throws the signal's reason */
  async hold(wish: MountWish, signal: AbortSignal): Promise<HeldMount> {
    for (;;) {
      signal.throwIfAborted()
      const held = this.tryHold(wish)
      if (held) return held
      await this.turn(signal)
    }
  }

  private tryHold(wish: MountWish): HeldMount | undefined {
    const known = this.rows().filter(({ id, path }) => id === wish.id && existsSync(path))
    if (wish.sharing === 'private') {
      const free = known.find(({ dir }) => !this.holders.has(dir))
      return this.take(wish, free?.dir, true)
    }
    const [first] = known
    const holder = first && this.holders.get(first.dir)
    if (holder && (holder.exclusive || wish.sharing === 'locked')) return undefined
    return this.take(wish, first?.dir, wish.sharing === 'locked')
  }

  private take(wish: MountWish, known: number | undefined, exclusive: boolean): HeldMount {
    const dir = known ?? this.metadata.next('dir')
    const path = join(this.base, String(dir))
    const isNew = !existsSync(path)
    if (isNew) {
      mkdirSync(path, { mode: 0o700 })
      chownSync(path, wish.uid, wish.gid)
      chmodSync(path, wish.mode)
    }
    this.metadata.lazily(() =>
      this.metadata.db
        .prepare(
          'INSERT INTO build_mount (id, dir, used_at_ms, uses) VALUES (?, ?, ?, 1) ON CONFLICT (id, dir) DO UPDATE SET used_at_ms = excluded.used_at_ms, uses = uses + 1',
        )
        .run(wish.id, dir, this.nowMs()),
    )
    const holder = this.holders.get(dir) ?? { shared: 0, exclusive: false }
    this.holders.set(dir, { shared: holder.shared + 1, exclusive })
    let isHeld = true
    const release = () => {
      if (isHeld) this.letGo(dir)
      isHeld = false
    }
    return { path, isNew, release }
  }

  private letGo(dir: number): void {
    const holder = this.holders.get(dir)
    if (!holder || holder.shared <= 1) this.holders.delete(dir)
    else this.holders.set(dir, { ...holder, shared: holder.shared - 1 })
    for (const wake of [...this.waiting]) wake()
  }

  private turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.waiting.add(wake)
      signal.addEventListener('abort', wake, { once: true })
    })
  }

  list(): readonly KeptMount[] {
    return this.rows()
  }

  private rows(): readonly KeptMount[] {
    return this.metadata.db
      .prepare('SELECT id, dir, used_at_ms, uses FROM build_mount ORDER BY dir')
      .all()
      .map((row) => ({
        id: String(row.id),
        dir: Number(row.dir),
        path: join(this.base, String(row.dir)),
        usedAtMs: Number(row.used_at_ms),
        uses: Number(row.uses),
        isHeld: this.holders.has(Number(row.dir)),
      }))
  }

  /** One that a step has stays. Whether it went. */
  async remove(dir: number): Promise<boolean> {
    if (this.holders.has(dir)) return false
    this.metadata.db.prepare('DELETE FROM build_mount WHERE dir = ?').run(dir)
    await rm(join(this.base, String(dir)), { recursive: true, force: true, maxRetries: 3 })
    return true
  }
}
