import type { ImageConfig } from '../../api.js'

/** `sha256:…` of the operation and of its inputs' ids: equal definitions are one vertex. */
export type VertexId = string

/** Where in the Dockerfile; lines and columns from 1. */
export interface Location {
  readonly line: number
  readonly column: number
  readonly endLine: number
}

/** A build: what to do, for which image. Only what the target needs is in it. */
export interface BuildGraph {
  /** In an order in which each comes after its inputs. */
  readonly vertices: readonly Vertex[]
  readonly target: PlannedImage
}

export interface PlannedImage {
  /** Whose files the image has. */
  readonly root: VertexId
  readonly config: ImageConfig
  /** MAINTAINER's. */
  readonly author: string | undefined
  /** Those of the base image come before, from the base itself. */
  readonly history: readonly { readonly createdBy: string; readonly vertex: VertexId | undefined }[]
  /** In the order written, those of the target's own stage last: what a classic build shows as `Step n/m`. */
  readonly steps: readonly {
    readonly text: string
    readonly vertex: VertexId | undefined
    readonly stage: string
  }[]
}

export interface Vertex {
  readonly id: VertexId
  /** e.g. `[build 2/5] RUN make` */
  readonly name: string
  readonly location: Location
  readonly operation: Operation
}

/** `base` is the file system it starts from; the result is that with one layer more (none for `scratch` and `image`). */
export type Operation =
  | { readonly kind: 'scratch' }
  | { readonly kind: 'image'; readonly reference: string; readonly platform: string | undefined }
  /** A file system with one file, for ADD. */
  | {
      readonly kind: 'http'
      readonly url: string
      readonly checksum: string | undefined
      readonly fileName: string
    }
  | {
      readonly kind: 'git'
      readonly url: string
      readonly ref: string | undefined
      readonly subdir: string | undefined
      readonly keepsGitDir: boolean
      readonly checksum: string | undefined
    }
  | CopyOperation
  | RunOperation
  | {
      readonly kind: 'workdir'
      readonly base: VertexId
      readonly path: string
    }

export interface CopyOperation {
  readonly kind: 'copy'
  readonly base: VertexId
  readonly from: CopySource
  /** Patterns (Go's filepath.Match), below the source's root. */
  readonly sources: readonly string[]
  /** Absolute, with a final slash when it was written with one. */
  readonly target: string
  /** `user[:group]`, by the target's /etc files; absent: 0:0. */
  readonly chown: string | undefined
  /** Octal or symbolic, as written. */
  readonly chmod: string | undefined
  /** The layer does not depend on what is below it. */
  readonly isLinked: boolean
  readonly keepsParents: boolean
  readonly excludes: readonly string[]
  /** ADD: local archives are unpacked. */
  readonly unpacksArchives: boolean
}

export type CopySource =
  /** `name` absent: the main context. */
  | { readonly kind: 'context'; readonly name?: string }
  | { readonly kind: 'vertex'; readonly id: VertexId }
  /** Heredocs. */
  | { readonly kind: 'inline'; readonly files: readonly { readonly name: string; readonly text: string }[] }

export interface RunOperation {
  readonly kind: 'run'
  readonly base: VertexId
  readonly argv: readonly string[]
  readonly env: readonly string[]
  /** Environment too, but of the build and not of what it makes (proxies): no part of the id and of any cache's key. */
  readonly passedEnv: readonly string[]
  readonly user: string
  readonly workdir: string
  readonly mounts: readonly RunMount[]
  readonly network: 'default' | 'none' | 'host'
  readonly isInsecure: boolean
  /** Files below /dev/pipes while it runs, mode 0755: documents that are programs. */
  readonly heredocs: readonly { readonly name: string; readonly text: string }[]
}

export type RunMount =
  | {
      readonly type: 'cache'
      readonly id: string
      readonly target: string
      readonly isReadOnly: boolean
      readonly sharing: 'shared' | 'private' | 'locked'
      readonly from: CopySource | undefined
      readonly source: string
      readonly mode: number
      readonly uid: number
      readonly gid: number
    }
  | {
      readonly type: 'bind'
      readonly from: CopySource
      readonly source: string
      readonly target: string
      /** Written to, then thrown away. */
      readonly isWritable: boolean
    }
  | { readonly type: 'tmpfs'; readonly target: string; readonly sizeBytes: number | undefined }
  | {
      readonly type: 'secret'
      readonly id: string
      readonly target: string | undefined
      readonly env: string | undefined
      readonly isRequired: boolean
      readonly mode: number
      readonly uid: number
      readonly gid: number
    }
  | {
      readonly type: 'ssh'
      readonly id: string
      readonly target: string | undefined
      readonly isRequired: boolean
      readonly mode: number
      readonly uid: number
      readonly gid: number
    }
