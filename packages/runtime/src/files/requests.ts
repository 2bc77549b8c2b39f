/** What a files child is asked; one child, one request. */
export type FilesRequest =
  | { readonly op: 'stat'; readonly view: RootView; readonly path: string }
  | { readonly op: 'copy-out'; readonly view: RootView; readonly path: string }
  | {
      readonly op: 'copy-in'
      readonly view: RootView
      readonly path: string
      readonly noOverwriteDirNonDir: boolean
      readonly copyOwners: boolean
    }
  | { readonly op: 'export'; readonly view: RootView }
  | { readonly op: 'changes'; readonly layers: LayersView; readonly asLayer: boolean }
  | { readonly op: 'copy-up'; readonly view: RootView; readonly path: string }
  /** A tree behind descriptor 4 into the empty directory behind descriptor 5. */
  | { readonly op: 'clone' }
  /** The tree behind descriptor 4 as an exact archive, from a byte on. */
  | { readonly op: 'pack'; readonly skipBytes: number }
  /** An exact archive into the empty directory behind descriptor 5. */
  | { readonly op: 'unpack' }
  | { readonly op: 'sizes'; readonly directories: readonly string[] }

/** Directories of an overlay, relative to the data root. */
export interface LayersView {
  readonly dataRoot: string
  /** Exists, and may be covered by mounts that only the child sees. */
  readonly stage: string
  /** From the top down. */
  readonly lower: readonly string[]
  /** The snapshot's own. */
  readonly upper: string | undefined
}

export type RootView =
  /** An open directory, handed over as descriptor 4: the root of a running container. */
  | { readonly kind: 'descriptor'; readonly shift: IdShift | undefined }
  | ({
      readonly kind: 'overlay'
      /** Into the snapshot; else what is written is gone with the child. */
      readonly isWritten: boolean
      readonly readOnlyRoot: boolean
      readonly mounts: readonly ViewMount[]
    } & LayersView)

/** Container ids from 0 on are host ids from `hostId` on. */
export interface IdShift {
  readonly hostId: number
  readonly size: number
}

export interface ViewMount {
  readonly source: string
  /** Below the source, never leaving it. */
  readonly subpath: string | undefined
  readonly target: string
  readonly readOnly: boolean
}

/** A line of JSON that the child says about its work; an archive goes over stdout. */
export type FilesAnswer =
  | { readonly kind: 'stat'; readonly stat: RawStat }
  | { readonly kind: 'ready' }
  | { readonly kind: 'changes'; readonly changes: readonly RawChange[] }
  | { readonly kind: 'sizes'; readonly sizes: readonly number[] }
  | {
      readonly kind: 'cloned'
      readonly count: { readonly files: number; readonly bytes: number; readonly shared: number }
    }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly fault: FailedWork }

export interface FailedWork {
  readonly kind: string
  readonly code: string
  readonly message: string
}

export interface RawStat {
  readonly name: string
  readonly sizeBytes: number
  readonly mode: number
  readonly modifiedAtMs: number
  readonly linkTarget: string
}

export interface RawChange {
  readonly kind: 'modified' | 'added' | 'deleted'
  /** From the root, with leading slash; latin1. */
  readonly path: string
  readonly isDirectory: boolean
  readonly sizeBytes: number
}
