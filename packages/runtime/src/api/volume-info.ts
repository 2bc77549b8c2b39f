export interface VolumeInfo {
  readonly name: string
  readonly anonymous: boolean
  readonly labels: Readonly<Record<string, string>>
  readonly driver: string
  readonly driverOptions: Readonly<Record<string, string>>
  /** `global` when a plugin has the same volumes on all hosts. */
  readonly scope: 'local' | 'global'
  /** Of a plugin's volume it is empty while it is not mounted, or the plugin does not say. */
  readonly mountpoint: string
  readonly createdAt: string
  /** What its plugin says about it. */
  readonly status?: Readonly<Record<string, unknown>>
  /** Ids of containers that have it. */
  readonly usedBy: readonly string[]
}
