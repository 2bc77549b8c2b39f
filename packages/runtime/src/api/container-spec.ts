import type { EndpointSpec } from './networks.js'
import type { ConsoleSize } from './stdio.js'

/**
 * What an embedder wants of one container. Absent means the default of reliability.md §4.2 (stricter than docker's; see
 * `RuntimeOptions.compat`). Nothing in here is ever changed by the runtime except through `rename` and `update`.
 */
export interface ContainerSpec {
  /** `^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`, unique on the host. */
  readonly name: string
  /** A reference or id that is already present (`images.pull` first). */
  readonly image: string
  readonly labels?: Readonly<Record<string, string>>
  /** Opaque to the runtime and never shown to the container: an embedder's own notes, kept as they are. */
  readonly annotations?: Readonly<Record<string, string>>

  // The process. Present values replace the image's own.
  readonly entrypoint?: readonly string[]
  readonly command?: readonly string[]
  /** `KEY=value`, over the image's; `KEY` alone takes the image's away. */
  readonly env?: readonly string[]
  readonly workdir?: string
  /** `user[:group]`, names or numbers, by the image's own files. */
  readonly user?: string
  /** Supplementary groups, names or numbers, beside those of the user. */
  readonly groupsAdd?: readonly string[]
  readonly tty?: boolean
  /** Of its terminal when it begins. */
  readonly consoleSize?: ConsoleSize
  /** Keeps stdin open while nobody is attached. */
  readonly openStdin?: boolean
  /** Ends stdin when the first one who was attached to it leaves. */
  readonly stdinOnce?: boolean
  /** A small init as pid 1 that passes signals on and reaps zombies: on by default, where catatonit is installed. */
  readonly init?: boolean
  readonly stopSignal?: string
  readonly stopTimeoutMs?: number
  readonly oomScoreAdj?: number

  // Names and addresses.
  readonly hostname?: string
  readonly domainname?: string
  /** `name:address`; the address `host-gateway` is the bridge's. */
  readonly extraHosts?: readonly string[]
  readonly dns?: DnsSpec
  /** `bridge` (default), `none`, `host`, or the namespace of another container. */
  readonly network?: 'bridge' | 'none' | 'host' | ContainerNamespace
  /**
   * Instead of the default network alone: networks by name or id, in the order of their interfaces; `bridge` is the default one. They are looked
   * for at each start. Excludes every other `network`.
   */
  readonly networks?: Readonly<Record<string, EndpointSpec>>
  readonly ports?: readonly PortMapping[]
  /**
   * When host ports and addresses of `networks` are taken: at create and until removal (default), or, as docker has it, from each start to its
   * end.
   */
  readonly portsHeld?: 'always' | 'while-up'
  readonly macAddress?: string

  // Limits.
  readonly resources?: ContainerResources
  readonly ulimits?: readonly Ulimit[]
  readonly sysctls?: Readonly<Record<string, string>>
  readonly shmSizeBytes?: number

  // What it may touch.
  readonly mounts?: readonly MountSpec[]
  readonly devices?: readonly DeviceSpec[]
  /** e.g. `c 1:3 mr` (kernel documentation, cgroup-v1/devices). */
  readonly deviceRules?: readonly string[]
  readonly readOnlyRootfs?: boolean
  readonly security?: SecuritySpec
  readonly namespaces?: NamespaceSpec

  // What happens around it.
  readonly restart?: RestartPolicy
  /** Removed, with its anonymous volumes, when it has ended. Excludes a restart policy. */
  readonly autoRemove?: boolean
  /** Absent: the image's own. `'none'`: no check. */
  readonly health?: HealthCheck | 'none'
  readonly log?: LogSpec
  /** Overrides `RuntimeOptions.ociRuntime`. */
  readonly ociRuntime?: 'crun' | 'runc'
}

/** By container id or name; resolved when the container is created, and the other must run when it is started. */
export interface ContainerNamespace {
  readonly container: string
}

export interface DnsSpec {
  readonly servers?: readonly string[]
  readonly search?: readonly string[]
  readonly options?: readonly string[]
}

export interface PortMapping {
  readonly protocol: 'tcp' | 'udp' | 'sctp'
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

/** On cgroup v2 the v1-only ones (`memorySwappiness`, `kernelMemory`) are refused; on v1 they are written as they are. */
export interface ContainerResources {
  /** Billionths of a CPU: 1.5e9 is one and a half. Excludes `cpuQuotaUs`. */
  readonly cpuNanos?: number
  readonly cpuShares?: number
  readonly cpuPeriodUs?: number
  readonly cpuQuotaUs?: number
  readonly cpuRealtimePeriodUs?: number
  readonly cpuRealtimeRuntimeUs?: number
  readonly cpusetCpus?: string
  readonly cpusetMems?: string
  readonly memoryBytes?: number
  readonly memoryReservationBytes?: number
  /** Memory and swap together; -1 is no limit. Absent: as much as `memoryBytes`, which is no swap. */
  readonly memorySwapBytes?: number
  readonly memorySwappiness?: number
  readonly oomKillDisable?: boolean
  /** -1 is no limit; 2048 by default. */
  readonly pidsMax?: number
  /** 10-1000. */
  readonly blkioWeight?: number
  readonly blkioWeightDevices?: readonly { readonly path: string; readonly weight: number }[]
  readonly blkioThrottles?: readonly BlkioThrottle[]
}

export interface BlkioThrottle {
  readonly kind: 'read-bps' | 'write-bps' | 'read-iops' | 'write-iops'
  /** A block device's path on the host. */
  readonly path: string
  readonly rate: number
}

export interface Ulimit {
  /** Without RLIMIT_, e.g. `nofile`. */
  readonly name: string
  /** -1 is no limit. */
  readonly soft: number
  readonly hard: number
}

export type MountSpec =
  | {
      readonly type: 'bind'
      /** Absolute path on the host. */
      readonly source: string
      readonly target: string
      readonly readOnly?: boolean
      readonly propagation?: 'private' | 'rprivate' | 'shared' | 'rshared' | 'slave' | 'rslave'
      /** Makes a missing source as a directory; otherwise it is refused. */
      readonly createSource?: boolean
      /** Mounts below the source are not taken along. */
      readonly nonRecursive?: boolean
    }
  | {
      readonly type: 'volume'
      /** Absent: an anonymous volume, made for this container. */
      readonly source?: string
      readonly target: string
      readonly readOnly?: boolean
      /** An empty volume is filled with what the image has at the target, unless this is true. */
      readonly noCopy?: boolean
      /** A directory of the volume, below its root. */
      readonly subpath?: string
      readonly labels?: Readonly<Record<string, string>>
      /** Of a volume that is made; `local` when absent. */
      readonly driver?: string
      readonly driverOptions?: Readonly<Record<string, string>>
    }
  | {
      readonly type: 'tmpfs'
      readonly target: string
      readonly readOnly?: boolean
      readonly sizeBytes?: number
      /** Octal as a number, e.g. 0o1777. */
      readonly mode?: number
      /** More mount options, e.g. `exec`. */
      readonly options?: readonly string[]
    }

export interface DeviceSpec {
  /** On the host: a device, or a directory whose devices all come along. */
  readonly hostPath: string
  readonly containerPath: string
  /** Some of `rwm`. */
  readonly access: string
}

export interface SecuritySpec {
  /** Every capability, device and system call; no masked paths. Audited by whoever embeds us. */
  readonly privileged?: boolean
  /** With or without CAP_; `ALL`. */
  readonly capAdd?: readonly string[]
  readonly capDrop?: readonly string[]
  readonly noNewPrivileges?: boolean
  /** The default profile, none, or a profile in docker's JSON format. */
  readonly seccomp?: 'default' | 'unconfined' | { readonly profile: string }
  /** `unconfined` or the name of a loaded profile; ignored where the kernel has no AppArmor. */
  readonly apparmor?: string
  /** Absent: the default lists. Empty: nothing is hidden (docker's `systempaths=unconfined`). */
  readonly maskedPaths?: readonly string[]
  readonly readonlyPaths?: readonly string[]
}

export interface NamespaceSpec {
  readonly pid?: 'private' | 'host' | ContainerNamespace
  /** `shareable` may be joined by another container, `none` has no /dev/shm of its own. */
  readonly ipc?: 'private' | 'shareable' | 'none' | 'host' | ContainerNamespace
  readonly uts?: 'private' | 'host'
  readonly cgroup?: 'private' | 'host'
  /** `remap`: root inside is an unprivileged id outside (`RuntimeOptions.userNamespace`). */
  readonly user?: 'host' | 'remap'
}

export type RestartPolicy =
  | { readonly name: 'no' }
  | { readonly name: 'always' }
  /** Not after it was stopped by hand. */
  | { readonly name: 'unless-stopped' }
  /** `retriesMax` 0: without end. */
  | { readonly name: 'on-failure'; readonly retriesMax: number }

export interface HealthCheck {
  /** The program and its arguments, or one line for the image's shell. */
  readonly test: { readonly exec: readonly string[] } | { readonly shell: string }
  readonly intervalMs?: number
  readonly timeoutMs?: number
  readonly retries?: number
  /** Failures count only after this. */
  readonly startPeriodMs?: number
  /** Between checks during the start period. */
  readonly startIntervalMs?: number
  /** Podman's `--health-on-failure`. */
  readonly onUnhealthy?: 'none' | 'kill' | 'restart' | 'stop'
}

export interface LogSpec {
  /** `json-file` and `local` are the same bounded files here; `none` keeps nothing. */
  readonly driver?: 'json-file' | 'local' | 'none'
  /** Per file; 10 MiB by default. */
  readonly maxBytes?: number
  /** 3 by default. */
  readonly filesMax?: number
}

/** Live changes. Absent fields stay; 0 takes a limit away. */
export interface ContainerUpdate {
  readonly resources?: ContainerResources
  readonly restart?: RestartPolicy
}
