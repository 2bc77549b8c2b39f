import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fault } from '@berth/core'
import { MS_BIND, MS_RDONLY } from '../host/confined.js'
import { mountIdMapped, withFileId } from '../host/idmap.js'
import { MNT_DETACH, mount, umount, umountAside } from '../host/libc.js'
import type { Layer } from '../layers/layers.store.js'
import type { Metadata } from '../metadata.store.js'

/**
 * Writable overlays over an image's layers. `key` names an active snapshot (the container's id). Mount options name layers relative to the
 * root, since the kernel takes one page (4 KiB) of them.
 */
export class SnapshotStore {
  constructor(
    private readonly root: string,
    private readonly metadata: Metadata,
  ) {
    mkdirSync(join(root, 's'), { recursive: true, mode: 0o700 })
    mkdirSync(join(root, 'empty'), { recursive: true, mode: 0o755 })
  }

  /** Makes upper and work directories. Idempotent. `layers` from the bottom up. */
  prepare(key: string, layers: readonly Layer[]): void {
    if (this.find(key)) return
    // The owner's own row is made durable with it or after it, and a container half made is taken away.
    this.metadata.lazily(() => {
      const dir = this.metadata.next('dir')
      this.makeDirs(dir)
      this.metadata.db
        .prepare('INSERT INTO snapshot (key, dir, layers) VALUES (?, ?, ?)')
        .run(key, dir, JSON.stringify(layers.map((layer) => layer.dir)))
    })
  }

  /** Again before each mount: a power cut may have taken empty directories whose row it left. */
  private makeDirs(dir: number): void {
    for (const part of ['u', 'w'])
      mkdirSync(join(this.root, 's', String(dir), part), { recursive: true, mode: 0o755 })
  }

  /** Where what the container wrote lies on disk. */
  upperDir(key: string): string | undefined {
    const found = this.find(key)
    return found && join(this.root, 's', String(found.dir), 'u')
  }

  /** @throws snapshot.not_found */
  mountAt(key: string, target: string): void {
    const found = this.find(key)
    if (!found) throw fault.internal('snapshot.not_found', `snapshot ${key} does not exist`)
    mkdirSync(target, { recursive: true, mode: 0o711 })
    const { dir, layers } = found
    this.makeDirs(dir)
    const lower =
      layers.length === 0
        ? 'empty'
        : [...layers]
            .reverse()
            .map((layer) => `l/${layer}`)
            .join(':')
    within(this.root, () =>
      mount('overlay', target, 'overlay', 0, `lowerdir=${lower},upperdir=s/${dir}/u,workdir=s/${dir}/w`),
    )
  }

  /**
   * Mounts it with every owner shifted into a user namespace; on disk they are as the container sees them. Layers and upper directory are
   * mounted id-mapped beside the target for as long as it takes: an overlay has no such mounts itself. @throws host.idmap_unsupported
   */
  mountMappedAt(key: string, target: string, namespaceFd: number, hostId: number): void {
    const found = this.find(key)
    if (!found) throw fault.internal('snapshot.not_found', `snapshot ${key} does not exist`)
    const stage = `${target}.map`
    const sources = [...found.layers].reverse().map((layer) => `l/${layer}`)
    const lower = sources.length === 0 ? ['empty'] : sources
    const parts = [
      ...lower.map((source, index) => [source, String(index)] as const),
      [`s/${found.dir}`, 's'] as const,
    ]
    try {
      for (const [source, name] of parts) {
        mkdirSync(`${stage}/${name}`, { recursive: true, mode: 0o711 })
        mountIdMapped(join(this.root, source), `${stage}/${name}`, namespaceFd)
      }
      const data = `lowerdir=${lower.map((_, index) => index).join(':')},upperdir=s/u,workdir=s/w`
      within(stage, () => withFileId(hostId, () => mount('overlay', target, 'overlay', 0, data)))
    } finally {
      for (const [, name] of parts) this.unmount(`${stage}/${name}`)
      rmSync(stage, { recursive: true, force: true })
    }
  }

  /** Idempotent: what is not mounted stays so. */
  unmount(target: string): void {
    if (!existsSync(target)) return
    try {
      umount(target, MNT_DETACH)
    } catch {
      // Not a mount point: already the wanted state.
    }
  }

  /** As `unmount`, in the thread pool. */
  async unmountAside(target: string): Promise<void> {
    if (existsSync(target)) await umountAside(target, MNT_DETACH).catch(() => {})
  }

  /**
   * Idempotent. The directory is renamed aside first, so that half of it is never found under its name; `also` is written in the same commit,
   * and what is left of the directory after a crash goes at `recover`. Its files, which may be many, go in the thread pool.
   */
  async remove(key: string, also: () => void = () => {}): Promise<void> {
    const found = this.find(key)
    const path = join(this.root, 's', String(found?.dir))
    if (found && existsSync(path)) renameSync(path, `${path}.gone`)
    // Who removes it has said so durably before: when this is lost, recovery removes it again.
    this.metadata.lazily(() => {
      this.metadata.db.prepare('DELETE FROM snapshot WHERE key = ?').run(key)
      also()
    })
    if (found) await rm(`${path}.gone`, { recursive: true, force: true, maxRetries: 3 })
  }

  list(): readonly { readonly key: string; readonly layers: readonly number[] }[] {
    return this.metadata.db
      .prepare('SELECT key, layers FROM snapshot')
      .all()
      .map((row) => ({ key: String(row.key), layers: JSON.parse(String(row.layers)) as number[] }))
  }

  /** Of an overlay, relative to the root; layers from the top down. @throws snapshot.not_found */
  directories(key: string): { readonly upper: string; readonly lower: readonly string[] } {
    const found = this.find(key)
    if (!found) throw fault.internal('snapshot.not_found', `snapshot ${key} does not exist`)
    return { upper: `s/${found.dir}`, lower: [...found.layers].reverse().map((layer) => `l/${layer}`) }
  }

  private find(key: string): { dir: number; layers: readonly number[] } | undefined {
    const row = this.metadata.db.prepare('SELECT dir, layers FROM snapshot WHERE key = ?').get(key)
    return row ? { dir: Number(row.dir), layers: JSON.parse(String(row.layers)) as number[] } : undefined
  }

  recover(): void {
    const known = new Set(
      this.metadata.db
        .prepare('SELECT dir FROM snapshot')
        .all()
        .map((row) => String(row.dir)),
    )
    for (const name of readdirSync(join(this.root, 's'))) {
      if (!known.has(name)) rmSync(join(this.root, 's', name), { recursive: true, force: true })
    }
  }
}

/** Mounts an overlay whose directories are named relative to `dir`; layers from the top down. */
export const mountOverlay = (
  dir: string,
  target: string,
  lower: readonly string[],
  upper?: { readonly upper: string; readonly work: string },
): void =>
  within(dir, () => {
    const [only = 'empty', ...more] = lower
    // Without an upper directory it needs two lower ones.
    if (!upper && more.length === 0) return mount(only, target, '', MS_BIND, '')
    const below = [only, ...more]
    const rest = upper ? `,upperdir=${upper.upper},workdir=${upper.work}` : ''
    mount('overlay', target, 'overlay', upper ? 0 : MS_RDONLY, `lowerdir=${below.join(':')}${rest}`)
  })

/** With short relative paths, since the kernel takes one page of options. */
function within(dir: string, work: () => void): void {
  const previous = process.cwd()
  process.chdir(dir)
  try {
    work()
  } finally {
    process.chdir(previous)
  }
}
