import {
  chmodSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  type Stats,
} from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, digestOf, failpoint, fault } from '@berth/core'
import type { ContentStore } from '../content/content.store.js'
import { Durability } from '../content/durability.store.js'
import { layerKey } from '../gc/mark.js'
import { diskFull } from '../host/disk.js'
import type { Metadata } from '../metadata.store.js'
import { type LayerSource, runUnpacker, type UnpackOptions, type UnpackResult } from './unpacker.exec.js'

/** A layer on top of its parents, unpacked once and shared by every image with the same chain. */
export interface Layer {
  readonly chainId: string
  readonly dir: number
}

/** An unpacked directory that is no layer yet: `adopt` or `discard` it. */
export interface UnpackedLayer extends UnpackResult {
  readonly dir: number
}

/** A layer that is being written. */
export interface OpenLayer {
  readonly dir: number
  /** Upper and work directory of an overlay. */
  readonly upper: string
  readonly work: string
  /** Not there: room for what the work needs on this file system and the layer does not. */
  readonly aside: string
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

type Parents = readonly Layer[] | Promise<readonly Layer[]>

/**
 * Unpacked layers under `<root>/l/<number>`: short names, because overlayfs takes all of them in one page of options. Nothing of a layer
 * depends on what lies below it but the owner of directories that it only implies: so all layers of an image are unpacked at once, and
 * become layers in order.
 */
export class LayerStore {
  private readonly dir: string
  private readonly unpacking = new Map<string, Promise<Layer>>()
  /** Told of every layer that somebody makes or will count on. */
  onTouch: (chainId: string) => void = () => {}

  constructor(
    root: string,
    private readonly metadata: Metadata,
    private readonly content: ContentStore,
    private readonly durability = new Durability(root, metadata),
  ) {
    this.dir = join(root, 'l')
    mkdirSync(this.dir, { recursive: true, mode: 0o700 })
  }

  /** A layer whose directory is gone is none: it is unpacked again. */
  find(chainId: string): Layer | undefined {
    const row = this.metadata.db.prepare('SELECT dir FROM layer WHERE chain_id = ?').get(chainId)
    return row && existsSync(this.path(Number(row.dir))) ? { chainId, dir: Number(row.dir) } : undefined
  }

  /** @throws image.layer_missing */
  get(chainId: string): Layer {
    const found = this.find(chainId)
    if (found) return found
    throw fault.dataLoss(
      'image.layer_missing',
      `layer ${chainId} is not unpacked on this host: pull its image again`,
    )
  }

  /** Size of its files, 0 for one that is not here. */
  sizeOf(chainId: string): number {
    const row = this.metadata.db.prepare('SELECT size_bytes FROM layer WHERE chain_id = ?').get(chainId)
    return Number(row?.size_bytes ?? 0)
  }

  /** Unpacks the blob as the layer with this chain id. Concurrent calls share the work. @throws image.diff_id_mismatch, image.layer_invalid */
  ensure(
    chainId: string,
    diffId: Digest,
    blob: Digest,
    parents: Parents,
    signal?: AbortSignal,
  ): Promise<Layer> {
    this.onTouch(chainId)
    const known = this.find(chainId)
    if (known) return Promise.resolve(known)
    const running = this.unpacking.get(chainId)
    // What stopped the other caller, his giving up perhaps, is not this one's.
    if (running) return running.catch(() => this.ensure(chainId, diffId, blob, parents, signal))
    const work = this.make(chainId, diffId, blob, parents, signal).finally(() =>
      this.unpacking.delete(chainId),
    )
    this.unpacking.set(chainId, work)
    return work
  }

  private async make(
    chainId: string,
    diffId: Digest,
    blob: Digest,
    parents: Parents,
    signal: AbortSignal | undefined,
  ): Promise<Layer> {
    const unpacked = await this.unpack(this.content.path(blob), signal ? { signal } : {})
    if (unpacked.diffId === diffId) return this.adopt(unpacked, chainId, parents)
    await this.discard(unpacked)
    throw fault.dataLoss(
      'image.diff_id_mismatch',
      `layer ${blob} unpacks to ${unpacked.diffId} but the image says ${diffId}`,
    )
  }

  /** Unpacks into a directory of its own; nothing of it stays on failure. @throws image.layer_invalid, image.layer_too_large, host.disk_full */
  async unpack(source: LayerSource, options: UnpackOptions = {}): Promise<UnpackedLayer> {
    const dir = this.metadata.next('dir')
    const temporary = this.halfMade(dir)
    try {
      mkdirSync(temporary, { mode: 0o755 })
      const result = await runUnpacker(source, temporary, options)
      return { ...result, dir }
    } catch (error) {
      await remove(temporary)
      throw diskFull(error, temporary) ?? error
    }
  }

  /** An empty layer to write into: `upper` becomes the layer with `adopt`, and both go with `discard`. A crash leaves nothing of it. */
  begin(): OpenLayer {
    const dir = this.metadata.next('dir')
    const [upper, work, aside] = [
      this.halfMade(dir),
      join(this.dir, `${dir}.work`),
      join(this.dir, `${dir}.aside`),
    ]
    for (const path of [upper, work]) mkdirSync(path, { mode: 0o755 })
    return { dir, upper, work, aside }
  }

  /** Makes an unpacked directory the layer with this chain id; a layer that is there already wins. */
  async adopt(unpacked: UnpackedLayer, chainId: string, parents: Parents): Promise<Layer> {
    const temporary = this.halfMade(unpacked.dir)
    try {
      this.inheritImplicitDirs(temporary, unpacked.implicitDirs, await parents)
      await failpoint('layer.before_rename')
      this.onTouch(chainId)
      const known = this.find(chainId)
      if (known) {
        await remove(temporary)
        return known
      }
      renameSync(temporary, this.path(unpacked.dir))
      await failpoint('layer.before_row')
      this.metadata.transaction(() => {
        this.metadata.db
          .prepare('INSERT OR REPLACE INTO layer (chain_id, dir, size_bytes) VALUES (?, ?, ?)')
          .run(chainId, unpacked.dir, unpacked.sizeBytes)
        this.durability.later(layerKey(chainId))
      })
      return { chainId, dir: unpacked.dir }
    } catch (error) {
      await remove(temporary)
      throw error
    }
  }

  async discard({ dir }: Pick<UnpackedLayer, 'dir'>): Promise<void> {
    await Promise.all([remove(this.halfMade(dir)), this.dropWork({ dir })])
  }

  /** What an overlay needed beside the directory it wrote into. Idempotent. */
  async dropWork({ dir }: Pick<UnpackedLayer, 'dir'>): Promise<void> {
    await Promise.all(
      ['work', 'aside', 'aside.stubs'].map((kind) => remove(join(this.dir, `${dir}.${kind}`))),
    )
  }

  private path(dir: number): string {
    return join(this.dir, String(dir))
  }

  private halfMade(dir: number): string {
    return join(this.dir, `${dir}.new`)
  }

  /** A directory the archive only implied keeps the mode and owner it has below. */
  private inheritImplicitDirs(target: string, dirs: readonly string[], parents: readonly Layer[]): void {
    for (const path of dirs) {
      const below = parents
        .map((parent) => safeDirectory(this.path(parent.dir), path))
        .findLast((stat) => stat !== undefined)
      if (!below || !safeDirectory(target, path)) continue
      lchownSync(join(target, path), below.uid, below.gid)
      chmodSync(join(target, path), below.mode & 0o7777)
    }
  }

  /** Whether any of these layers brings this directory. */
  hasDirectory(layers: readonly Layer[], path: string): boolean {
    return layers.some((layer) => safeDirectory(this.path(layer.dir), path) !== undefined)
  }

  /** The row goes at once, under the same tick as its caller's check; the files after it. */
  remove(chainId: string): Promise<void> {
    const row = this.metadata.db.prepare('DELETE FROM layer WHERE chain_id = ? RETURNING dir').get(chainId)
    if (!row) return Promise.resolve()
    const path = this.path(Number(row.dir))
    if (!existsSync(path)) return Promise.resolve()
    renameSync(path, `${path}.gone`)
    return remove(`${path}.gone`)
  }

  list(): readonly string[] {
    return this.rows().map(({ chainId }) => chainId)
  }

  rows(): readonly { readonly chainId: string; readonly dir: number; readonly sizeBytes: number }[] {
    return this.metadata.db
      .prepare('SELECT chain_id, dir, size_bytes FROM layer')
      .all()
      .map((row) => ({
        chainId: String(row.chain_id),
        dir: Number(row.dir),
        sizeBytes: Number(row.size_bytes),
      }))
  }

  /** Layers whose directory is not there any more. */
  missing(): readonly string[] {
    return this.rows()
      .filter(({ dir }) => !existsSync(this.path(dir)))
      .map(({ chainId }) => chainId)
  }

  /** Removes directories no row knows: half-unpacked layers and ones whose row was deleted. */
  recover(): void {
    const known = new Set(this.rows().map(({ dir }) => String(dir)))
    for (const name of readdirSync(this.dir)) {
      // Retried, because the unpacker of an agent that was just killed may have written its last file meanwhile.
      if (!known.has(name))
        rmSync(join(this.dir, name), { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
    }
  }
}

const remove = (path: string): Promise<void> => rm(path, { recursive: true, force: true, maxRetries: 5 })

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
