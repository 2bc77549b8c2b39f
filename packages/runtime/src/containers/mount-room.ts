import type { ContainerId } from '@berth/core'
import type { ImageRecord, MountedPoint } from '../api.js'
import type { ContainerRow } from './container-row.js'

/** What the volumes do for a container. */
export interface MountRoom {
  /** At create: what its mounts become; volumes it names or needs are made. Under a row that is on disk, so that a crash leaves none behind. */
  prepare(row: ContainerRow, image: ImageRecord): Promise<readonly MountedPoint[]>
  /** Before each start: sources that must be there are. */
  ensureSources?(row: ContainerRow): Promise<void>
  /** After a start that succeeded: what only the start needed goes. */
  settled?(row: ContainerRow): void
  /** After a run, or a start that failed: what was mounted for it alone goes. Idempotent. */
  leave?(row: ContainerRow): Promise<void>
  /** Volumes that were made for this container and have no name. Idempotent. */
  removeAnonymous(id: ContainerId): Promise<void>
}
