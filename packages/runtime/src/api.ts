import type { ContainerId, Digest, Logger } from '@berth/core'

/**
 * The public face of the runtime: one host's images, containers and bridge network. It has never heard of services, tasks or nodes.
 * Every call that can wait takes an AbortSignal; every failure is a Fault.
 */
export interface Runtime {
  readonly images: Images
  readonly containers: Containers
  /** Live events from now on; ends when `signal` aborts. A reader more than 1,024 events behind is ended with `events.reader_too_slow`. */
  events(signal: AbortSignal): AsyncIterable<RuntimeEvent>
  /** Builds an image from a Dockerfile and a context directory and tags it. */
  build(request: BuildRequest): Promise<ImageRecord>
  info(): RuntimeInfo
  /** Releases the host lock and closes the database. Containers go on. Idempotent. */
  close(): Promise<void>
}

export interface RuntimeOptions {
  /** Durable state, e.g. /var/lib/berth (made 0700). */
  readonly root: string
  /** Volatile state, e.g. /run/berth (made 0711). Safe to lose at boot. Keep it short: unix socket paths live below it. */
  readonly runRoot: string
  /** cgroup path under which containers live, e.g. /berth or /berth-lab/server-a. */
  readonly cgroupParent: string
  readonly logger: Logger
  /** OCI runtime binary; `crun` by default. */
  readonly ociRuntime?: 'crun' | 'runc'
  /** Allow a crun older than 1.15 (reliability.md §0.1); logged as a warning. Our own guards for its holes are always on. */
  readonly allowOldCrun?: boolean
  readonly network?: { readonly bridge?: string; readonly subnet?: string }
  /** Per registry host as it stands in references (`berth.internal`, `registry.example:5000`). */
  readonly registries?: Readonly<Record<string, RegistryAccess>>
  /**
   * Changes at every boot of the host; containers started under another value are dead whatever their pid says.
   * Default: the kernel's boot_id. The two-server lab passes its own, since its hosts share a kernel.
   */
  readonly bootId?: string
}

export interface RegistryAccess {
  /** Where to connect instead of https://HOST, e.g. https://10.0.0.1:7443 */
  readonly endpoint?: string
  readonly caPem?: string
  readonly clientCertPem?: string
  readonly clientKeyPem?: string
  readonly username?: string
  readonly password?: string
  /** Allow http:// (loopback is always allowed over http). */
  readonly plainHttp?: boolean
}

export interface RuntimeInfo {
  readonly ociRuntime: { readonly name: string; readonly version: string }
  readonly conmonVersion: string
  readonly cgroupVersion: 'v1' | 'v2' | 'hybrid'
  readonly cpuNanos: number
  readonly memoryBytes: number
  readonly warnings: readonly string[]
}

// ---- images -------------------------------------------------------------------------------------

export interface Images {
  /**
   * Pulls by tag or digest: every blob's digest and size is verified before anything is visible; layers already here are not fetched.
   * Concurrent pulls of one image share the work. Idempotent.
   * @throws image.reference_invalid, image.not_found, registry.unreachable, registry.unauthorized, image.digest_mismatch
   */
  pull(reference: string, options?: PullOptions): Promise<ImageRecord>
  /** Pushes a local image to the registry its reference names. Blobs that are there are not sent again. Idempotent. */
  push(reference: string, options?: PushOptions): Promise<{ readonly digest: Digest }>
  /** By reference, image id (`sha256:…`) or manifest digest. @throws image.not_found */
  get(referenceOrId: string): Promise<ImageRecord>
  find(referenceOrId: string): Promise<ImageRecord | undefined>
  list(): Promise<readonly ImageRecord[]>
  /** Adds the reference `target` to the image that `source` names. Idempotent. */
  tag(source: string, target: string): Promise<ImageRecord>
  /** Removes a reference, or the image by id; blobs and snapshots nothing else uses go too. @throws image.in_use while a container uses it */
  remove(referenceOrId: string): Promise<void>
}

export interface PullOptions {
  readonly signal?: AbortSignal
  readonly auth?: { readonly username: string; readonly password: string }
  readonly onProgress?: (progress: TransferProgress) => void
}
export type PushOptions = PullOptions

export interface TransferProgress {
  readonly digest: Digest
  readonly kind: 'config' | 'layer' | 'manifest'
  readonly state: 'waiting' | 'transferring' | 'unpacking' | 'done' | 'exists'
  readonly doneBytes: number
  readonly totalBytes: number
}

export interface ImageRecord {
  /** Digest of the image config: docker's image id. */
  readonly id: Digest
  readonly manifestDigest: Digest
  readonly references: readonly string[]
  readonly sizeBytes: number
  readonly createdAt: string
  readonly platform: { readonly os: string; readonly architecture: string }
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
}

// ---- build --------------------------------------------------------------------------------------

export interface BuildRequest {
  readonly contextDir: string
  /** Path inside the context; `Dockerfile` by default. */
  readonly dockerfile?: string
  readonly tags: readonly string[]
  readonly buildArgs?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  readonly onProgress?: (line: string) => void
}

// ---- containers ---------------------------------------------------------------------------------

export interface ContainerSpec {
  /** `^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`, unique on the host. */
  readonly name: string
  /** A reference or id that is already present (`images.pull` first). */
  readonly image: string
  readonly labels?: Readonly<Record<string, string>>
  /** Replace the image's own when present. */
  readonly entrypoint?: readonly string[]
  readonly command?: readonly string[]
  /** `KEY=value`, over the image's. */
  readonly env?: readonly string[]
  readonly workdir?: string
  readonly user?: string
  readonly hostname?: string
  readonly stopSignal?: string
  readonly stopTimeoutMs?: number
  readonly readOnlyRootfs?: boolean
  /** A small init as pid 1 that passes signals on and reaps zombies: on by default, where catatonit is installed. */
  readonly init?: boolean
  readonly resources?: ContainerResources
  readonly ports?: readonly PortMapping[]
  /** `bridge` (default) gives an address on the host's bridge; `none` only a loopback. */
  readonly network?: 'bridge' | 'none'
  readonly extraHosts?: readonly string[]
}

export interface ContainerResources {
  readonly cpuNanos?: number
  readonly memoryBytes?: number
  readonly pidsMax?: number
}

export interface PortMapping {
  readonly protocol: 'tcp' | 'udp'
  readonly containerPort: number
  /** 1-65535; 0 picks a free one. */
  readonly hostPort: number
  readonly hostIp?: string
  /**
   * Containers that publish the same host port under the same group share it, and new connections are spread over them.
   * Without a group the host port is exclusive and a second publisher is refused with `port.in_use`.
   */
  readonly group?: string
}

export type ContainerState = 'creating' | 'created' | 'running' | 'exited' | 'removing'

export interface ContainerInfo {
  readonly id: ContainerId
  readonly spec: ContainerSpec
  readonly imageId: Digest
  readonly state: ContainerState
  readonly pid: number | undefined
  readonly createdAt: string
  readonly startedAt: string | undefined
  readonly finishedAt: string | undefined
  readonly exit: ContainerExit | undefined
  readonly restartCount: number
  readonly ipAddress: string | undefined
  readonly ports: readonly PortMapping[]
  /** Whether its grouped ports receive connections now (see `publish`). */
  readonly published: boolean
}

export interface ContainerExit {
  readonly code: number
  readonly signal?: number
  readonly oomKilled: boolean
  /** Set when the exit was not seen: `host_rebooted`, `monitor_lost`, `start_failed`. */
  readonly reason?: 'host_rebooted' | 'monitor_lost' | 'start_failed'
  readonly message?: string
}

export interface Containers {
  /** Snapshot, spec and network are ready when it resolves; nothing runs. @throws container.name_taken, image.not_found, container.spec_invalid, port.in_use */
  create(spec: ContainerSpec, signal?: AbortSignal): Promise<ContainerInfo>
  /**
   * Runs the process of a created or exited container (an exited one is started again with restartCount + 1). Idempotent while running.
   * `publish: 'later'` keeps it out of its port groups until `publish` is called; exclusive ports are always published at once.
   */
  start(
    id: ContainerId,
    options?: { readonly publish?: 'now' | 'later'; readonly signal?: AbortSignal },
  ): Promise<ContainerInfo>
  /** Lets connections in (idempotent) or keeps new ones out while established ones live on (idempotent). */
  publish(id: ContainerId): Promise<void>
  unpublish(id: ContainerId): Promise<void>
  /** Stop signal, then SIGKILL to the whole cgroup after the timeout (spec's, else 10 s). Idempotent. */
  stop(
    id: ContainerId,
    options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal },
  ): Promise<ContainerInfo>
  kill(id: ContainerId, signalName?: string): Promise<void>
  /** @throws container.running unless `force`. Idempotent: removing what is gone succeeds. */
  remove(id: ContainerId, options?: { readonly force?: boolean }): Promise<void>
  /** By id, unique id prefix (≥ 4) or name. @throws container.not_found */
  inspect(idOrName: string): Promise<ContainerInfo>
  list(filter?: { readonly labels?: Readonly<Record<string, string>> }): Promise<readonly ContainerInfo[]>
  /** Resolves when the container is not running (at once if it is not). */
  wait(id: ContainerId, signal?: AbortSignal): Promise<ContainerExit>
  logs(id: ContainerId, options?: LogOptions): AsyncIterable<LogEntry>
  stats(id: ContainerId): Promise<ContainerStats>
}

export interface LogOptions {
  readonly follow?: boolean
  /** Last N entries; all when absent. */
  readonly tail?: number
  readonly sinceMs?: number
  readonly stdout?: boolean
  readonly stderr?: boolean
  readonly signal?: AbortSignal
}

export interface LogEntry {
  readonly stream: 'stdout' | 'stderr'
  /** RFC 3339 with nanoseconds. */
  readonly timestamp: string
  readonly line: string
}

export interface ContainerStats {
  readonly readAtMs: number
  readonly cpuUsageNanos: number
  readonly memoryUsageBytes: number
  readonly memoryLimitBytes: number | undefined
  readonly pids: number
}

export type RuntimeEvent =
  | {
      readonly kind: 'image'
      readonly action: 'pulled' | 'pushed' | 'built' | 'tagged' | 'removed'
      readonly reference: string
      readonly atMs: number
    }
  | {
      readonly kind: 'container'
      readonly action: 'created' | 'started' | 'exited' | 'removed'
      readonly id: ContainerId
      readonly name: string
      readonly atMs: number
      readonly exit?: ContainerExit
    }
