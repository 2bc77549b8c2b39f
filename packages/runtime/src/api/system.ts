export interface RuntimeInfo {
  readonly ociRuntime: { readonly name: string; readonly version: string }
  readonly conmonVersion: string
  readonly cgroupVersion: 'v1' | 'v2' | 'hybrid'
  readonly cpuNanos: number
  readonly memoryBytes: number
  readonly warnings: readonly string[]
  readonly root: string
  readonly runRoot: string
  /** Identifies this data root for ever; a UUID. */
  readonly id: string
  /** Ids of the networks that every host has. */
  readonly networkIds: Readonly<Record<'bridge' | 'host' | 'none', string>>
  /** Of `bridge`, the default network. */
  readonly network: { readonly bridge: string; readonly subnet: string; readonly gateway: string }
}

/** What takes room on the data root. `docker system df` in numbers. */
export interface DiskUsage {
  readonly images: readonly {
    readonly id: string
    readonly sizeBytes: number
    /** Of layers that other images have too. */
    readonly sharedBytes: number
    readonly containers: number
  }[]
  /** All layers, each counted once. */
  readonly layersBytes: number
  readonly containers: readonly {
    readonly id: string
    readonly writtenBytes: number
    readonly rootBytes: number
  }[]
  readonly volumes: readonly { readonly name: string; readonly sizeBytes: number; readonly users: number }[]
  readonly buildCacheBytes: number
}
