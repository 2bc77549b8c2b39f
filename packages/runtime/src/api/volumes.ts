/** Directories that outlive containers, under the data root. */
export interface Volumes {
  /** Idempotent with the same options; without a name an anonymous one. @throws volume.name_invalid, volume.option_invalid, volume.conflict */
  create(spec: VolumeSpec): Promise<VolumeInfo>
  /** @throws volume.not_found */
  get(name: string): Promise<VolumeInfo>
  list(): Promise<readonly VolumeInfo[]>
  /** @throws volume.not_found, volume.in_use */
  remove(name: string, options?: { readonly force?: boolean }): Promise<void>
  /** Unused ones; only anonymous ones unless `all`. Gives what went. */
  prune(options?: {
    readonly all?: boolean
    readonly labels?: Readonly<Record<string, string>>
  }): Promise<{ readonly removed: readonly string[]; readonly reclaimedBytes: number }>
}

export interface VolumeSpec {
  readonly name?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly driverOptions?: Readonly<Record<string, string>>
}

export interface VolumeInfo {
  readonly name: string
  readonly anonymous: boolean
  readonly labels: Readonly<Record<string, string>>
  readonly driverOptions: Readonly<Record<string, string>>
  readonly mountpoint: string
  readonly createdAt: string
  /** Ids of containers that have it. */
  readonly usedBy: readonly string[]
}
