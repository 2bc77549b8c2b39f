import { umount } from '../host/libc.js'
import { withUserNamespace } from '../host/user-namespace.exec.js'
import type { SnapshotStore } from '../snapshots/snapshots.store.js'
import type { ContainerPaths } from './paths.js'

export const USER_NAMESPACE = { hostId: 231_072, size: 65_536 }

interface RemapDeps {
  readonly snapshots: SnapshotStore
  readonly userNamespace?: { readonly hostId: number; readonly size: number }
}

/**
 * Puts the container's root, which has been prepared as the host sees it, into the eyes of its own user namespace: its root owns what the
 * image's root owns, and nothing is changed on disk. @throws host.idmap_unsupported
 */
export async function remapRoot(deps: RemapDeps, key: string, paths: ContainerPaths): Promise<void> {
  const map = deps.userNamespace ?? USER_NAMESPACE
  await withUserNamespace(map, (fd) => {
    umount(paths.rootfs)
    deps.snapshots.mountMappedAt(key, paths.rootfs, fd, map.hostId)
  })
}
