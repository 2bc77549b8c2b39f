import type { Digest } from '@berth/core'
import type { HealthCheck } from './container-spec.js'

export interface Images {
  /**
   * Pulls by tag or digest: every blob's digest and size is verified before anything is visible; layers already here are not fetched.
   * Concurrent pulls of one image share the work. Idempotent.
   * @throws image.reference_invalid, image.not_found, image.platform_missing, registry.unreachable, registry.unauthorized, image.digest_mismatch
   */
  pull(reference: string, options?: PullOptions): Promise<ImageRecord>
  /** Pushes a local image to the registry its reference names. Blobs that are there are not sent again, or mounted from another repository. Idempotent. */
  push(
    reference: string,
    options?: PushOptions,
  ): Promise<{ readonly digest: Digest; readonly sizeBytes: number }>
  /** By reference, image id (`sha256:…`, or 4 to 64 hex digits of it) or manifest digest. @throws image.not_found, image.ambiguous */
  get(referenceOrId: string): Promise<ImageRecord>
  find(referenceOrId: string): Promise<ImageRecord | undefined>
  list(): Promise<readonly ImageRecord[]>
  history(referenceOrId: string): Promise<readonly HistoryEntry[]>
  /** Adds the reference `target` to the image that `source` names. Idempotent. */
  tag(source: string, target: string): Promise<ImageRecord>
  /**
   * Removes a reference, or the image by id; blobs and snapshots nothing else uses go too. Gives what went, in order.
   * Idempotent: what is gone gives an empty list.
   * @throws image.in_use while a container uses it (with `force` only a running one counts), image.has_references by id with several unless `force`,
   * image.has_children by id while images were made from it here
   */
  remove(referenceOrId: string, options?: { readonly force?: boolean }): Promise<readonly RemovedImage[]>
  /** Images no container uses: those without a reference, or all of them. */
  prune(options?: {
    readonly all?: boolean
    readonly createdBeforeMs?: number
    readonly labels?: Readonly<Record<string, string>>
  }): Promise<{ readonly removed: readonly RemovedImage[]; readonly reclaimedBytes: number }>
  /** One archive that `load` and `docker load` both read (OCI layout with docker's manifest.json beside it). */
  save(references: readonly string[], signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>>
  /** OCI layout or docker archive, plain or compressed. @throws archive.invalid; nothing of a bad archive stays */
  load(
    archive: AsyncIterable<Uint8Array>,
    options?: { readonly onProgress?: (progress: TransferProgress) => void; readonly signal?: AbortSignal },
  ): Promise<readonly ImageRecord[]>
  /** A root file system as a one-layer image. `changes` as in `CommitOptions`. */
  import(
    archive: AsyncIterable<Uint8Array>,
    options: {
      readonly reference?: string
      readonly comment?: string
      readonly changes?: readonly string[]
      readonly signal?: AbortSignal
    },
  ): Promise<ImageRecord>
  /** Asks a registry's search endpoint, where it has one. @throws registry.search_unsupported */
  search(
    term: string,
    options?: { readonly limit?: number; readonly auth?: RegistryAuth; readonly signal?: AbortSignal },
  ): Promise<readonly SearchResult[]>
  /** Every tag the registry has of a repository, at most 10,000. @throws image.not_found, registry.unauthorized, registry.unreachable */
  tags(
    repository: string,
    options?: { readonly auth?: RegistryAuth; readonly signal?: AbortSignal },
  ): Promise<readonly string[]>
  /** Whether the registry takes these credentials. @throws registry.unauthorized, registry.unreachable */
  login(auth: RegistryAuth & { readonly host: string }): Promise<void>
  /** Reads every blob again and compares digests. Damaged ones are put aside, so that the next pull brings them back. */
  check(signal?: AbortSignal): Promise<readonly DamagedBlob[]>
}

export interface RegistryAuth {
  readonly username?: string
  readonly password?: string
  /** An OAuth refresh token instead of a password. */
  readonly identityToken?: string
  /** A bearer token that is used as it is. */
  readonly registryToken?: string
}

/** By the names that clients know registries by (`registry.example.com`), or asked for by host. */
export type RegistryAuths =
  | Readonly<Record<string, RegistryAuth>>
  | ((host: string) => Promise<RegistryAuth | undefined>)

export interface PullOptions {
  readonly signal?: AbortSignal
  readonly auth?: RegistryAuth
  /** `linux/arm64`, `arm64`, `linux/arm/v7`; this host's by default. */
  readonly platform?: string
  readonly onProgress?: (progress: TransferProgress) => void
}
export type PushOptions = Omit<PullOptions, 'platform'>

export interface TransferProgress {
  readonly digest: Digest
  readonly kind: 'config' | 'layer' | 'manifest'
  readonly state:
    | 'waiting'
    | 'transferring'
    | 'verifying'
    | 'unpacking'
    | 'done'
    | 'exists'
    | 'mounted'
    | 'retrying'
  readonly doneBytes: number
  readonly totalBytes: number
  /** With `retrying`. */
  readonly retryInMs?: number
}

export type RemovedImage = { readonly untagged: string } | { readonly deleted: Digest }

export interface ImageRecord {
  /** Digest of the image config: docker's image id. */
  readonly id: Digest
  readonly manifestDigest: Digest
  /** The image it was made from on this host, by a commit; what was pulled or loaded has none. */
  readonly parentId?: Digest
  readonly references: readonly string[]
  /** `repository@sha256:…` of the registries it was pulled from or pushed to. */
  readonly repositoryDigests: readonly string[]
  /** Of its unpacked layers. */
  readonly sizeBytes: number
  readonly createdAt: string
  /** When its last reference was set, here. */
  readonly taggedAt: string
  readonly author: string
  readonly comment: string
  readonly platform: { readonly os: string; readonly architecture: string; readonly variant: string }
  readonly config: ImageConfig
  readonly diffIds: readonly Digest[]
}

export interface ImageConfig {
  readonly env: readonly string[]
  readonly entrypoint: readonly string[]
  readonly cmd: readonly string[]
  readonly workdir: string
  readonly user: string
  readonly exposedPorts: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly stopSignal: string
  readonly volumes: readonly string[]
  readonly health: HealthCheck | 'none' | undefined
  readonly shell: readonly string[]
  readonly onBuild: readonly string[]
}

export interface HistoryEntry {
  /** The image, for the topmost entry; else undefined, since what lies below has no id of its own. */
  readonly imageId: Digest | undefined
  readonly createdAt: string
  readonly createdBy: string
  readonly comment: string
  readonly references: readonly string[]
  readonly sizeBytes: number
}

export interface SearchResult {
  readonly name: string
  readonly description: string
  readonly stars: number
  readonly isOfficial: boolean
}

export interface DamagedBlob {
  readonly digest: Digest
  readonly images: readonly string[]
}
