import type { ImageRecord, RegistryAuths } from './images.js'

/** All there are, or asked for one by one when a step needs it. */
export type ById<T> = Readonly<Record<string, T>> | ((id: string) => Promise<T | undefined>)

/** One build of one image. Absent means docker's default. */
export interface BuildRequest {
  /** The main context: a directory on this host that does not change while the build goes on. */
  readonly contextDir: string
  /** Path inside the context; `Dockerfile` by default. */
  readonly dockerfile?: string
  /** Its text, when it is not in the context (`docker build -f -`). */
  readonly dockerfileText?: string
  /** The ignore file's text, when it is not the one in the context. */
  readonly ignoreText?: string
  /** More contexts by name: directories, or `docker-image://REFERENCE`. */
  readonly namedContexts?: Readonly<Record<string, string>>
  readonly tags: readonly string[]
  readonly buildArgs?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  /** A stage's name or number; the last one by default. */
  readonly target?: string
  /** e.g. `linux/amd64`. */
  readonly platform?: string
  readonly noCache?: boolean
  /** Asks the registry for bases that are here already. */
  readonly pull?: boolean
  /** For base images and caches. */
  readonly registryAuths?: RegistryAuths
  /** Images, here or in a registry, whose caches are read before the build; one that cannot be read is a warning. */
  readonly cacheFrom?: readonly string[]
  /** Into the image's own config, with the layers it has; or all steps of all stages as an image of their own. */
  readonly cacheTo?: { readonly type: 'inline' } | { readonly type: 'registry'; readonly reference: string }
  /** Of RUN where it does not say: `default` by default. */
  readonly network?: 'default' | 'none' | 'host'
  readonly extraHosts?: readonly string[]
  readonly shmSizeBytes?: number
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[]
  /** Of all RUN steps together. */
  readonly resources?: {
    readonly memoryBytes?: number
    readonly cpuNanos?: number
    readonly cpuShares?: number
  }
  /** Given to `RUN --mount=type=secret`; never stored. */
  readonly secrets?: ById<Buffer>
  /** Sockets of ssh agents by id (`default`). */
  readonly ssh?: ById<string>
  /** Allow `RUN --security=insecure` and `--network=host`. */
  readonly entitlements?: readonly ('security.insecure' | 'network.host')[]
  /** Seconds; file times in layers are at most this, and the image's creation is this. SOURCE_DATE_EPOCH of the build args wins. */
  readonly sourceDateEpoch?: number
  readonly signal?: AbortSignal
  readonly onEvent?: (event: BuildEvent) => void
}

/** A context that was sent as an archive, unpacked for as long as it is not released. */
export interface BuildContext {
  readonly dir: string
  /** Idempotent. */
  release(): Promise<void>
}

/** Which records of the build cache go. Absent: all of them. */
export interface BuildPrune {
  /** Only those not used since. */
  readonly usedBeforeMs?: number
  /** By key or its beginning. */
  readonly ids?: readonly string[]
  /** The least recently used go until no more than this is left. */
  readonly keepBytes?: number
}

export interface BuildCacheRecord {
  readonly id: string
  readonly kind: 'copy' | 'run' | 'workdir'
  readonly description: string
  readonly sizeBytes: number
  readonly createdAtMs: number
  readonly usedAtMs: number
  readonly uses: number
  readonly isInUse: boolean
}

/** What is kept of builds. */
export interface Builds {
  /**
   * Unpacks a context that comes as an archive (tar, plain or with gzip, zstd, bzip2 or xz); nothing in it leads out of its directory.
   * @throws build.context_invalid, archive.invalid, host.disk_full
   */
  openContext(archive: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<BuildContext>
  /**
   * Makes a context that was opened here another one, for who knows what has changed: `removed` (asked for when the archive has come) goes, what
   * the archive has replaces what is there. A context of which that failed is released.
   * @throws as `openContext`
   */
  updateContext(
    context: BuildContext,
    archive: AsyncIterable<Uint8Array>,
    removed: () => readonly string[],
    signal?: AbortSignal,
  ): Promise<BuildContext>
  /**
   * A context by its address: a repository (`https://host/a.git#ref:directory`), an archive, or a Dockerfile without any context.
   * @throws build.source_unreachable, build.source_refused, build.source_missing, build.context_invalid, archive.invalid, host.disk_full
   */
  openRemoteContext(address: string, signal?: AbortSignal): Promise<BuildContext>
  cache(): readonly BuildCacheRecord[]
  /** Records of builds that go on stay. Gives the ids of what went. */
  prune(wanted?: BuildPrune): Promise<{ readonly ids: readonly string[]; readonly freedBytes: number }>
  /** Of the last build that gave this image here; undefined for one that was not built here. @throws image.not_found */
  provenance(referenceOrId: string): Promise<Provenance | undefined>
}

export interface BuildResult {
  readonly image: ImageRecord
  readonly provenance: Provenance
}

export type BuildEvent =
  | {
      readonly kind: 'planned'
      /** Build args that nothing asked for. */
      readonly unusedArgs: readonly string[]
      readonly steps: readonly { readonly text: string; readonly stepId: string | undefined }[]
    }
  | {
      readonly kind: 'warning'
      readonly rule: string
      readonly message: string
      readonly line: number | undefined
    }
  | { readonly kind: 'step_started'; readonly stepId: string; readonly name: string }
  | {
      readonly kind: 'step_output'
      readonly stepId: string
      readonly stream: 'stdout' | 'stderr'
      readonly data: Buffer
    }
  | {
      readonly kind: 'step_ended'
      readonly stepId: string
      readonly isCached: boolean
      readonly durationMs: number
    }
  | { readonly kind: 'step_failed'; readonly stepId: string; readonly message: string }

/** What a build was made of. No secret's value and no secret build arg is in it. */
export interface Provenance {
  readonly buildId: string
  readonly startedAt: string
  readonly endedAt: string
  readonly dockerfileDigest: string
  readonly buildArgs: Readonly<Record<string, string>>
  readonly inputs: readonly {
    readonly kind: 'image' | 'http' | 'git' | 'context'
    readonly name: string
    readonly digest: string
  }[]
  readonly steps: readonly {
    readonly stepId: string
    readonly name: string
    readonly isCached: boolean
    readonly durationMs: number
  }[]
}
