import type { Logger } from '@berth/core'
import type { BuildRequest, BuildResult, Builds } from './build.js'
import type { Containers } from './containers.js'
import type { EventOptions, RuntimeEvent } from './events.js'
import type { Images } from './images.js'
import type { Networks } from './networks.js'
import type { DiskUsage, RuntimeInfo } from './system.js'
import type { VolumePluginOptions, Volumes } from './volumes.js'

/**
 * The public face of the runtime: one host's images, containers, volumes and networks. It has never heard of services, tasks or nodes.
 * Every call that can wait takes an AbortSignal; every failure is a Fault.
 */
export interface Runtime {
  readonly images: Images
  readonly containers: Containers
  readonly volumes: Volumes
  readonly networks: Networks
  /** Ends when `signal` aborts. A reader more than 1,024 events behind is ended with `events.reader_too_slow`. */
  events(options: EventOptions | AbortSignal): AsyncIterable<RuntimeEvent>
  /** Builds an image from a Dockerfile and a context directory and tags it. */
  build(request: BuildRequest): Promise<BuildResult>
  readonly builds: Builds
  info(): RuntimeInfo
  /** Somebody is about to ask for a program: what the kernel takes its time for begins now. A hint, which may come for nothing. */
  expectWork(): void
  diskUsage(signal?: AbortSignal): Promise<DiskUsage>
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
  /** Silent by default. */
  readonly logger?: Logger
  /** OCI runtime binary; `crun` by default. */
  readonly ociRuntime?: 'crun' | 'runc'
  /** Allow a crun older than 1.15 (reliability.md §0.1); logged as a warning. Our own guards for its holes are always on. */
  readonly allowOldCrun?: boolean
  /** `docker` gives Docker's 14 capabilities and leaves no_new_privs off where a spec does not say; `berth`, the default, is stricter. */
  readonly compat?: 'berth' | 'docker'
  readonly network?: { readonly bridge?: string; readonly subnet?: string }
  /** First id outside and how many, for `namespaces.user: 'remap'`; 231072 and 65536 by default. */
  readonly userNamespace?: { readonly hostId: number; readonly size: number }
  /** What the build cache may take; the least recently used goes beyond it. 20 GiB by default. */
  readonly buildCacheBytesMax?: number
  readonly volumePlugins?: VolumePluginOptions
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
  /** Asked before the registry itself, in order; what they cannot give comes from the registry. */
  readonly mirrors?: readonly string[]
  readonly caPem?: string
  readonly clientCertPem?: string
  readonly clientKeyPem?: string
  readonly username?: string
  readonly password?: string
  /** Allow http:// (loopback is always allowed over http). */
  readonly plainHttp?: boolean
}
