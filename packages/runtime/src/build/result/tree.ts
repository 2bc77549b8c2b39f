import type { Digest } from '@berth/core'
import type { ImageRecord } from '../../api.js'
import type { Descriptor } from '../../images/manifest.js'

/** A layer of a step's file system, as it goes into an image. */
export interface TreeLayer {
  readonly chainId: string
  readonly diffId: Digest
  readonly blob: Descriptor
}

/** What a vertex gives. */
export type StepResult =
  | {
      readonly kind: 'tree'
      /** From the bottom up. */
      readonly layers: readonly TreeLayer[]
      /** Whether the last one is of this step: one that changed nothing has none. */
      readonly hasLayer: boolean
      readonly createdAtMs: number
      /** The image it began with. */
      readonly base: ImageRecord | undefined
    }
  /** Something fetched: a directory of this host that lives as long as the build. */
  | { readonly kind: 'directory'; readonly path: string; readonly digest: string }

export type Tree = Extract<StepResult, { kind: 'tree' }>

export const EMPTY_TREE: Tree = { kind: 'tree', layers: [], hasLayer: false, createdAtMs: 0, base: undefined }

/** Names all of it; undefined for an empty one. */
export const topChain = (tree: Tree): string | undefined => tree.layers.at(-1)?.chainId
