import type { VolumeCopies } from './volume-data.js'
import type { VolumeInfo } from './volume-info.js'

/** Directories that outlive containers: under the data root, or wherever a volume plugin has them. */
export interface Volumes extends VolumeCopies {
  /**
   * Idempotent with the same options; without a name an anonymous one.
   * @throws volume.name_invalid, volume.option_invalid, volume.conflict, volume.driver_not_found, volume.plugin_unreachable,
   * volume.plugin_silent, volume.plugin_failed
   */
  create(spec: VolumeSpec): Promise<VolumeInfo>
  /** Also one that only a plugin knows. @throws volume.not_found, volume.plugin_unreachable, volume.plugin_silent */
  get(name: string): Promise<VolumeInfo>
  /** Also those that only plugins know; what cannot be asked now is told to `onWarning`. */
  list(options?: { readonly onWarning?: (text: string) => void }): Promise<readonly VolumeInfo[]>
  /**
   * `force` forgives that it is not there, and that its plugin does not remove it.
   * @throws volume.not_found, volume.in_use, volume.plugin_unreachable, volume.plugin_failed
   */
  remove(name: string, options?: { readonly force?: boolean }): Promise<void>
  /** Unused ones of the local driver without options; only anonymous ones unless `all`. Gives what went. */
  prune(options?: PruneVolumesOptions): Promise<{
    readonly removed: readonly string[]
    readonly reclaimedBytes: number
  }>
  /** Drivers that answer: `local`, then plugins by name. */
  drivers(): Promise<readonly string[]>
}

export interface PruneVolumesOptions {
  readonly all?: boolean
  readonly labels?: Readonly<Record<string, string>>
  /** Only those for which this holds. */
  readonly only?: (volume: VolumeInfo) => boolean
}

export interface VolumeSpec {
  readonly name?: string
  readonly labels?: Readonly<Record<string, string>>
  /** `local` by default; else a volume plugin's name. */
  readonly driver?: string
  readonly driverOptions?: Readonly<Record<string, string>>
}

/** Where volume plugins are looked for, and how long one that does not answer is waited for. */
export interface VolumePluginOptions {
  /** Directory of `NAME.sock`; /run/docker/plugins by default. */
  readonly sockets?: string
  /** Directories of `NAME.spec` and `NAME.json`; /etc/docker/plugins and /usr/lib/docker/plugins by default. */
  readonly specs?: readonly string[]
  /** 30,000 by default, as docker does. */
  readonly retryWithinMs?: number
}
