import type { VolumeInfo } from './volume-info.js'

/**
 * Copies of what is in volumes: the base of backups and of moving data between hosts. Owners, modes, times to the nanosecond, extended
 * attributes, hard links, holes, symlinks, pipes and devices are kept; sockets only by `clone`.
 */
export interface VolumeCopies {
  /**
   * A new local volume with what the other one has at this moment; files share their blocks where the file system can (xfs, btrfs), else they
   * are copied. @throws volume.not_found, volume.conflict, volume.busy, host.disk_full, and what a plugin's driver throws
   */
  clone(name: string, newName: string, options?: CloneOptions): Promise<VolumeInfo>
  /**
   * What the volume has at this moment, as numbered chunks of an archive that GNU tar reads. It is cloned first, and that clone is kept until
   * the last chunk was taken, `endExport`, or a day has passed: until then the same export gives the same bytes from any chunk on.
   * @throws volume.not_found, volume.export_not_found, host.disk_full
   */
  export(name: string, options?: ExportOptions): Promise<VolumeExport>
  /** Idempotent. */
  endExport(id: string): Promise<void>
  /**
   * A new local volume from an export, whole or not at all. Chunks are checked and kept as they come: when the export breaks off, the next
   * import of the same export goes on with `importProgress(name).nextChunk`.
   * @throws volume.conflict, volume.busy, volume.import_incomplete, volume.import_invalid, host.disk_full
   */
  import(name: string, source: VolumeExport, options?: ImportOptions): Promise<VolumeInfo>
  /** Of an import that was broken off; undefined when there is none. */
  importProgress(name: string): Promise<ImportProgress | undefined>
  /** Drops what an import has kept. Idempotent. */
  abandonImport(name: string): Promise<void>
}

/**
 * `pause`, the default: containers that run with the volume are frozen while it is cloned, so that the copy is what the disk would have after
 * the power failed at one moment. `live`: they go on, and what they write meanwhile may be in the copy or not, file by file.
 */
export type Consistency = 'pause' | 'live'

export interface CloneOptions {
  readonly consistency?: Consistency
  /** Instead of the labels of the original. */
  readonly labels?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

export interface ExportOptions {
  /** Goes on with an export that was begun before. */
  readonly id?: string
  /** 0 by default. */
  readonly fromChunk?: number
  readonly consistency?: Consistency
  /** Stays after its last chunk was taken. */
  readonly keep?: boolean
  readonly signal?: AbortSignal
}

export interface VolumeExport {
  /** 32 hex digits. */
  readonly id: string
  readonly volume: string
  readonly labels: Readonly<Record<string, string>>
  readonly fromChunk: number
  readonly chunks: AsyncIterable<VolumeChunk>
}

export interface VolumeChunk {
  /** From 0 on. */
  readonly number: number
  /** 4 MiB, of the last one fewer. */
  readonly bytes: Uint8Array
  /** sha256 of the bytes. */
  readonly digest: string
  readonly isLast: boolean
}

export interface ImportOptions {
  /** Instead of the labels of the exported volume. */
  readonly labels?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

export interface ImportProgress {
  readonly exportId: string
  readonly nextChunk: number
}
