import { rmSync } from 'node:fs'
import { type Digest, failpoint } from '@berth/core'
import type { ContentStore } from '../../content/content.store.js'
import { MEDIA_TYPES } from '../../images/manifest.js'
import { chainIds, type LayerStore, type OpenLayer } from '../../layers/layers.store.js'
import type { Tree, TreeLayer } from '../result/tree.js'
import type { Workers } from './workers.exec.js'

export interface LayerDeps {
  readonly content: ContentStore
  readonly layers: LayerStore
  readonly workers: Workers
}

export interface MadeLayer {
  /** Undefined when nothing was changed. */
  readonly layer: TreeLayer | undefined
  /** Of its files. */
  readonly sizeBytes: number
}

/**
 * A layer of what `fill` writes into an overlay's upper directory. That very directory becomes the layer, and its archive is written and hashed
 * once, without compression, which a push does when it comes. Nothing stays of a failure. @throws what `fill` throws, host.disk_full
 */
export async function makeLayer(
  deps: LayerDeps,
  base: Tree,
  setting: { readonly clampSeconds: number | undefined; readonly signal: AbortSignal },
  fill: (open: OpenLayer) => Promise<void>,
): Promise<MadeLayer> {
  const { layers, content, workers } = deps
  const open = layers.begin()
  const blob = content.stagingPath()
  try {
    await fill(open)
    await layers.dropWork(open)
    await failpoint('build.step.after_fill')
    const { clampSeconds, signal } = setting
    const { layer: written } = await workers.ask(
      { op: 'layer', upper: open.upper, blob, clampSeconds },
      'layer',
      signal,
    )
    if (written.isEmpty) {
      await discard()
      return { layer: undefined, sizeBytes: 0 }
    }
    const digest = written.digest as Digest
    await content.commitStaged([{ digest, sizeBytes: written.blobBytes, path: blob }])
    const chainId = chainIds([...base.layers.map(({ diffId }) => diffId), digest]).at(-1) ?? digest
    const parents = base.layers.flatMap((parent) => layers.find(parent.chainId) ?? [])
    const unpacked = { dir: open.dir, diffId: digest, sizeBytes: written.fileBytes, implicitDirs: [] }
    await layers.adopt(unpacked, chainId, parents)
    const descriptor = { mediaType: MEDIA_TYPES.ociLayer, digest, sizeBytes: written.blobBytes }
    return { layer: { chainId, diffId: digest, blob: descriptor }, sizeBytes: written.fileBytes }
  } catch (error) {
    await discard()
    throw error
  }

  async function discard(): Promise<void> {
    rmSync(blob, { force: true })
    await layers.discard(open)
  }
}

/** The directories of a tree for an overlay: from the top down, relative to the data root. @throws image.layer_missing */
export const lowerOf = ({ layers }: Pick<LayerDeps, 'layers'>, tree: Tree): readonly string[] =>
  [...tree.layers].reverse().map(({ chainId }) => `l/${layers.get(chainId).dir}`)
