import type { ContainerId } from '@berth/core'

/**
 * Files of containers, running or not. Every path is resolved inside the container's root by the kernel (openat2 RESOLVE_IN_ROOT), so that a
 * symlink swapped meanwhile leads nowhere else (CVE-2018-15664), and nothing of the container is executed or loaded (CVE-2019-14271).
 */
export interface ContainerFiles {
  /** @throws file.not_found */
  stat(id: ContainerId, path: string): Promise<FileStat>
  /** A tar of the file or directory, its base name first. @throws file.not_found */
  copyOut(
    id: ContainerId,
    path: string,
    signal?: AbortSignal,
  ): Promise<{ readonly stat: FileStat; readonly archive: AsyncIterable<Uint8Array> }>
  /** Unpacks a tar (plain, gzip, zstd) into a directory. @throws file.not_found, file.not_a_directory, file.read_only, archive.invalid */
  copyIn(
    id: ContainerId,
    path: string,
    archive: AsyncIterable<Uint8Array>,
    options?: CopyInOptions,
  ): Promise<void>
  /** What it changed against its image, sorted by path. */
  diff(id: ContainerId): Promise<readonly FileChange[]>
  /** Its whole root as a tar, without what is mounted into it. */
  export(id: ContainerId, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>>
}

export interface CopyInOptions {
  /** A directory never replaces a file, nor the other way round. */
  readonly noOverwriteDirNonDir?: boolean
  /** Keeps the archive's owners; else everything belongs to root. */
  readonly copyOwners?: boolean
  readonly signal?: AbortSignal
}

export interface FileStat {
  readonly name: string
  readonly sizeBytes: number
  /** st_mode as the kernel has it. */
  readonly mode: number
  readonly modifiedAt: string
  /** Where a symlink leads, inside the container. */
  readonly linkTarget: string
}

export interface FileChange {
  readonly kind: 'modified' | 'added' | 'deleted'
  readonly path: string
}
