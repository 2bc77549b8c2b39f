import {
  chmodSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  type Stats,
} from 'node:fs'
import { join } from 'node:path'
import { type Digest, digestOf, failpoint, fault } from '@berth/core'
import type { ContentStore } from '../content/content.store.js'
import type { Metadata } from '../metadata.store.js'
import { runUnpacker } from './unpacker.exec.js'

/** A layer on top of its parents, unpacked once and shared by every image with the same chain. */
export interface Layer {
  readonly chainId: string
  readonly dir: number
}

/** OCI image spec, config.md "Layer ChainID". */
export function chainIds(diffIds: readonly Digest[]): readonly string[] {
  const chain: string[] = []
  for (const diffId of diffIds) {
    const parent = chain.at(-1)
    chain.push(parent === undefined ? diffId : digestOf(`${parent} ${diffId}`))
  }
  return chain
}

/** Unpacked layers under `<root>/l/<number>`: short names, because overlayfs takes all of them in one page of options. */
export class LayerStore {
  private readonly dir: string
  private readonly unpacking = new Map<string, Promise<Layer>>()

  constructor(
    root: string,
    private readonly metadata: Metadata,
    private readonly content: ContentStore,
  ) {
    this.dir = join(root, 'l')
    mkdirSync(this.dir, { recursive: true, mode: 0o700 })
  }

  find(chainId: string): Layer | undefined {
    const row = this.metadata.db.prepare('SELECT dir FROM layer WHERE chain_id = ?').get(chainId)
    return row ? { chainId, dir: Number(row.dir) } : undefined
  }

  /** Unpacks the blob as the layer with this chain id. Concurrent calls share the work. @throws image.diff_id_mismatch, image.layer_invalid */
  ensure(chainId: string, diffId: Digest, blob: Digest, parents: readonly Layer[]): Promise<Layer> {
    const known = this.find(chainId)
    if (known) return Promise.resolve(known)
    const running = this.unpacking.get(chainId)
    if (running) return running
    const work = this.unpack(chainId, diffId, blob, parents).finally(() => this.unpacking.delete(chainId))
    this.unpacking.set(chainId, work)
    return work
  }

  private async unpack(
    chainId: string,
    diffId: Digest,
    blob: Digest,
    parents: readonly Layer[],
  ): Promise<Layer> {
    const dir = this.metadata.next('dir')
    const temporary = join(this.dir, `${dir}.new`)
    mkdirSync(temporary, { mode: 0o755 })
    try {
      const result = await runUnpacker(this.content.path(blob), temporary)
      if (result.diffId !== diffId)
        throw fault.dataLoss(
          'image.diff_id_mismatch',
          `layer ${blob} unpacks to ${result.diffId} but the image says ${diffId}`,
        )
      this.inheritImplicitDirs(temporary, result.implicitDirs, parents)
      await failpoint('layer.before_rename')
      renameSync(temporary, join(this.dir, String(dir)))
      await failpoint('layer.before_row')
      this.metadata.db
        .prepare('INSERT INTO layer (chain_id, dir, size_bytes) VALUES (?, ?, ?)')
        .run(chainId, dir, result.sizeBytes)
      return { chainId, dir }
    } catch (error) {
      rmSync(temporary, { recursive: true, force: true })
      throw error
    }
  }

  /** A directory the archive only implied keeps the mode and owner it has below. */
  private inheritImplicitDirs(target: string, dirs: readonly string[], parents: readonly Layer[]): void {
    for (const path of dirs) {
      const below = parents
        .map((parent) => safeDirectory(join(this.dir, String(parent.dir)), path))
        .findLast((stat) => stat !== undefined)
      if (!below || !safeDirectory(target, path)) continue
      lchownSync(join(target, path), below.uid, below.gid)
      chmodSync(join(target, path), below.mode & 0o7777)
    }
  }

  /** Whether any of these layers brings this directory. */
  hasDirectory(layers: readonly Layer[], path: string): boolean {
    return layers.some((layer) => safeDirectory(join(this.dir, String(layer.dir)), path) !== undefined)
  }

  remove(chainId: string): void {
    const layer = this.find(chainId)
    if (!layer) return
    this.metadata.db.prepare('DELETE FROM layer WHERE chain_id = ?').run(chainId)
    rmSync(join(this.dir, String(layer.dir)), { recursive: true, force: true })
  }

  list(): readonly string[] {
    return this.metadata.db
      .prepare('SELECT chain_id FROM layer')
      .all()
      .map((row) => String(row.chain_id))
  }

  /** Removes directories no row knows: half-unpacked layers and ones whose row was deleted. */
  recover(): void {
    const known = new Set(
      this.metadata.db
        .prepare('SELECT dir FROM layer')
        .all()
        .map((row) => String(row.dir)),
    )
    for (const name of readdirSync(this.dir)) {
      // Retried, because the unpacker of an agent that was just killed may have written its last file meanwhile.
      if (!known.has(name))
        rmSync(join(this.dir, name), { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
    }
  }
}

/** The directory's stat when no part of its path is a symlink. */
function safeDirectory(root: string, path: string): Stats | undefined {
  let current = root
  let stat: Stats | undefined
  for (const part of path.split('/')) {
    current = join(current, part)
    stat = lstatSync(current, { throwIfNoEntry: false })
    if (!stat?.isDirectory()) return undefined
  }
  return stat
}
