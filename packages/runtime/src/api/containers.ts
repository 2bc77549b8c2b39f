import type { ContainerId, Digest } from '@berth/core'
import type { ContainerSpec, ContainerUpdate, MountSpec, PortMapping } from './container-spec.js'
import type { Execs } from './execs.js'
import type { ContainerFiles } from './files.js'
import type { ImageRecord } from './images.js'
import type { EndpointInfo } from './networks.js'
import type { Attachment, AttachOptions, ConsoleSize } from './stdio.js'

/**
 * `restarting`: it ended and its restart policy will start it again. `paused`: its processes are frozen. What docker calls `dead` does not
 * exist: a removal that was interrupted is finished at the next start.
 */
export type ContainerState =
  | 'creating'
  | 'created'
  | 'running'
  | 'paused'
  | 'restarting'
  | 'exited'
  | 'removing'

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
  /** Of the last start that failed, until one succeeds. */
  readonly startError: string | undefined
  readonly restartCount: number
  readonly ipAddress: string | undefined
  readonly macAddress: string | undefined
  /** Absent where the container is in the default network alone, which `ipAddress` is of, or has none of its own. */
  readonly endpoints?: readonly EndpointInfo[]
  readonly ports: readonly PortMapping[]
  /** Whether its grouped ports receive connections now (see `publish`). */
  readonly published: boolean
  readonly health: HealthState | undefined
  /** What its mounts became: names of volumes, image-declared ones included. */
  readonly mounts: readonly MountedPoint[]
  /** Programs started in it with `execs` that have not been forgotten. */
  readonly execIds: readonly string[]
}

export type MountedPoint = MountSpec & {
  /** Where it lies on the host; undefined for tmpfs. */
  readonly hostPath: string | undefined
}

export interface HealthState {
  readonly status: 'starting' | 'healthy' | 'unhealthy'
  readonly failingStreak: number
  /** The last five. */
  readonly log: readonly {
    readonly startedAt: string
    readonly finishedAt: string
    readonly exitCode: number
    /** At most 4,096 bytes. */
    readonly output: string
  }[]
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
  /**
   * Snapshot, spec and network are ready when it resolves; nothing runs. Image-declared volumes become anonymous ones.
   * @throws container.name_taken, image.not_found, container.spec_invalid, port.in_use
   */
  create(spec: ContainerSpec, signal?: AbortSignal): Promise<ContainerInfo>
  /**
   * Runs the process of a created or exited container (an exited one is started again with restartCount + 1). Idempotent while running.
   * `publish: 'later'` keeps it out of its port groups until `publish` is called; exclusive ports are always published at once.
   * @throws container.start_failed, container.paused
   */
  start(
    id: ContainerId,
    options?: { readonly publish?: 'now' | 'later'; readonly signal?: AbortSignal },
  ): Promise<ContainerInfo>
  /** Lets connections in (idempotent) or keeps new ones out while established ones live on (idempotent). */
  publish(id: ContainerId): Promise<void>
  unpublish(id: ContainerId): Promise<void>
  /** Stop signal, then SIGKILL to the whole cgroup after the timeout (spec's, else 10 s; -1 waits without end). No restart follows. Idempotent. */
  stop(id: ContainerId, options?: StopOptions): Promise<ContainerInfo>
  /** Stop, then start. */
  restart(id: ContainerId, options?: StopOptions): Promise<ContainerInfo>
  /** `TERM`, `SIGTERM`, `15`, `RTMIN+1`. @throws container.not_running, container.signal_invalid */
  kill(id: ContainerId, signalName?: string): Promise<void>
  /** Freezes its processes. @throws container.not_running, container.paused */
  pause(id: ContainerId): Promise<void>
  /** @throws container.not_paused */
  unpause(id: ContainerId): Promise<void>
  /** @throws container.name_taken, container.spec_invalid */
  rename(id: ContainerId, name: string): Promise<ContainerInfo>
  /** Limits and restart policy, at once where it runs; kept for the next start. @throws container.spec_invalid */
  update(id: ContainerId, change: ContainerUpdate): Promise<ContainerInfo>
  /** `volumes`: its anonymous volumes too. @throws container.running unless `force`. Idempotent: removing what is gone succeeds. */
  remove(id: ContainerId, options?: { readonly force?: boolean; readonly volumes?: boolean }): Promise<void>
  /** By id, unique id prefix (≥ 4) or name. @throws container.not_found */
  inspect(idOrName: string): Promise<ContainerInfo>
  list(filter?: { readonly labels?: Readonly<Record<string, string>> }): Promise<readonly ContainerInfo[]>
  /**
   * Resolves when the container is not running (at once if it is not), at its next exit, or when it has been removed. It may be called before
   * `start`, so that no exit is missed.
   */
  wait(
    id: ContainerId,
    signal?: AbortSignal,
    condition?: 'not-running' | 'next-exit' | 'removed',
  ): Promise<ContainerExit>
  logs(id: ContainerId, options?: LogOptions): AsyncIterable<LogEntry>
  stats(id: ContainerId): Promise<ContainerStats>
  /** As `ps` on the host says, only its processes; `pid` is always among the titles. @throws container.not_running */
  top(id: ContainerId, psArguments?: readonly string[]): Promise<ProcessTable>
  /** To a created container too, so that not one byte of its output is missed. */
  attach(id: ContainerId, options?: AttachOptions): Promise<Attachment>
  /** Of its terminal. @throws container.not_running */
  resize(id: ContainerId, size: ConsoleSize): Promise<void>
  /** A new image from its changes. It is paused meanwhile unless `pause` is false. */
  commit(id: ContainerId, options: CommitOptions): Promise<ImageRecord>
  readonly execs: Execs
  readonly files: ContainerFiles
}

export interface StopOptions {
  readonly timeoutMs?: number
  readonly signalName?: string
  readonly signal?: AbortSignal
}

export interface CommitOptions {
  readonly reference?: string
  readonly author?: string
  readonly comment?: string
  /** Dockerfile instructions: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, USER, VOLUME, WORKDIR. */
  readonly changes?: readonly string[]
  readonly pause?: boolean
}

export interface LogOptions {
  readonly follow?: boolean
  /** Last N entries; all when absent. */
  readonly tail?: number
  readonly sinceMs?: number
  readonly untilMs?: number
  readonly stdout?: boolean
  readonly stderr?: boolean
  readonly signal?: AbortSignal
}

export interface LogEntry {
  readonly stream: 'stdout' | 'stderr'
  /** RFC 3339 with nanoseconds. */
  readonly timestamp: string
  /** Without its line end; bytes that are no UTF-8 are replaced. */
  readonly line: string
  /** The same as the container wrote it. A line of more than 16 KiB comes in `partial` pieces of that length and a last one. */
  readonly bytes: Uint8Array
  /** The container wrote no line end after it (yet, or for ever). */
  readonly partial?: boolean
}

export interface ContainerStats {
  readonly readAtMs: number
  readonly cpuUsageNanos: number
  readonly cpuUserNanos: number
  readonly cpuSystemNanos: number
  readonly cpuThrottledPeriods: number
  readonly cpuThrottledNanos: number
  readonly memoryUsageBytes: number
  /** Page cache the kernel would give back first; docker's CLI takes it off. */
  readonly memoryInactiveFileBytes: number
  readonly memoryLimitBytes: number | undefined
  readonly pids: number
  readonly pidsMax: number | undefined
  readonly blockReadBytes: number
  readonly blockWriteBytes: number
  readonly networks: Readonly<Record<string, NetworkCounters>>
}

export interface NetworkCounters {
  readonly rxBytes: number
  readonly rxPackets: number
  readonly rxErrors: number
  readonly rxDropped: number
  readonly txBytes: number
  readonly txPackets: number
  readonly txErrors: number
  readonly txDropped: number
}

export interface ProcessTable {
  readonly titles: readonly string[]
  readonly processes: readonly (readonly string[])[]
}
