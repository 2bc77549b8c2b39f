/** What the worker is asked; one at a time. Paths of layers are relative to the data root, from the top down; names are latin1. */
export type WorkRequest =
  | LayerRequest
  | CopyRequest
  | DigestRequest
  /** A build context's archive into a directory that is there, from which `removed` goes first. */
  | {
      readonly op: 'unpack'
      readonly archive: string
      readonly directory: string
      readonly removed?: readonly string[]
    }
  | { readonly op: 'directory'; readonly view: WrittenView; readonly path: string }

export interface WrittenView {
  readonly dataRoot: string
  readonly lower: readonly string[]
  readonly upper: string
  readonly work: string
}

/** An upper directory as a layer's archive, written to `blob`. */
export interface LayerRequest {
  readonly op: 'layer'
  readonly upper: string
  readonly blob: string
  /** File times are at most this, in the directory as well as in the archive. */
  readonly clampSeconds: number | undefined
}

export type SourceTree =
  | { readonly kind: 'directory'; readonly path: string; readonly ignore: readonly string[] }
  | { readonly kind: 'layers'; readonly dataRoot: string; readonly lower: readonly string[] }
  | { readonly kind: 'inline'; readonly files: readonly { readonly name: string; readonly text: string }[] }

/** What of a source, and how it is named at the target. */
export interface Selection {
  /** Patterns below the root; `''` is all of it. */
  readonly sources: readonly string[]
  readonly excludes: readonly string[]
  readonly keepsParents: boolean
}

export interface DigestRequest {
  readonly op: 'digest'
  readonly from: SourceTree
  readonly selection: Selection
}

export interface CopyRequest {
  readonly op: 'copy'
  readonly view: WrittenView
  readonly from: SourceTree
  readonly selection: Selection
  /** Absolute; with a final slash when it must be a directory. */
  readonly target: string
  readonly chown: string | undefined
  readonly chmod: string | undefined
  readonly unpacksArchives: boolean
}

export type WorkAnswer =
  | { readonly kind: 'layer'; readonly layer: LayerAnswer }
  | { readonly kind: 'digest'; readonly digest: string }
  | { readonly kind: 'done' }
  | {
      readonly kind: 'failed'
      readonly fault: {
        readonly kind: string
        readonly code: string
        readonly message: string
        readonly params: Readonly<Record<string, string | number | boolean>>
      }
    }

export interface LayerAnswer {
  readonly digest: string
  readonly blobBytes: number
  /** Of the files in it. */
  readonly fileBytes: number
  readonly isEmpty: boolean
}
