import { closeSync, constants, existsSync, mkdirSync, openSync } from 'node:fs'
import type { ContainerRow } from '../containers/containers.store.js'
import type { ContainerPaths } from '../containers/paths.js'
import { processStartTime } from '../host/process.exec.js'
import type { SnapshotStore } from '../snapshots/snapshots.store.js'
import type { IdShift, LayersView, RootView, ViewMount } from './requests.js'

const O_PATH = 0o10000000

export interface RootDeps {
  readonly root: string
  readonly runRoot: string
  readonly snapshots: SnapshotStore
  readonly userNamespace?: IdShift
  pathsOf(id: ContainerRow['id']): ContainerPaths
  /** Where a volume's data lies. */
  volumePath(name: string): string
}

/** How a container's files are seen: `fd` belongs to whoever asked. */
export interface ContainerRoot {
  readonly view: RootView
  readonly fd: number | undefined
}

const DEFAULT_SHIFT: IdShift = { hostId: 231_072, size: 65_536 }

/** The container's own root with everything mounted into it, while it runs; undefined when it does not. */
export function openRunningRoot(deps: RootDeps, row: ContainerRow): ContainerRoot | undefined {
  if (!row.process) return undefined
  const { pid, startTime } = row.process
  const fd = openQuietly(`/proc/${pid}/root`)
  if (fd === undefined) return undefined
  // The pid may be somebody else's by now: what was opened counts only if it is not.
  if (processStartTime(pid) !== startTime) {
    closeSync(fd)
    return undefined
  }
  return { view: { kind: 'descriptor', shift: shiftOf(deps, row) }, fd }
}

/** A mounted root of the host's, without what the container has in it. */
export function openMountedRoot(
  deps: RootDeps,
  row: ContainerRow,
  rootfs: string,
): ContainerRoot | undefined {
  const fd = openQuietly(rootfs)
  return fd === undefined ? undefined : { view: { kind: 'descriptor', shift: shiftOf(deps, row) }, fd }
}

/** Mounted for one piece of work and seen by nobody else. Not `isWritten`: the snapshot stays as it is, whatever happens. */
export function overlayView(
  deps: RootDeps,
  row: ContainerRow,
  how: { readonly isWritten: boolean; readonly withMounts: boolean },
): RootView {
  return {
    kind: 'overlay',
    ...layersView(deps, row),
    isWritten: how.isWritten,
    readOnlyRoot: how.isWritten && (row.spec.readOnlyRootfs ?? false),
    mounts: how.withMounts ? [...etcMounts(deps, row), ...viewMounts(deps, row)] : [],
  }
}

export function layersView(deps: RootDeps, { id }: Pick<ContainerRow, 'id'>): LayersView {
  const { upper, lower } = deps.snapshots.directories(id)
  return { ...stagedView(deps, lower), upper }
}

type Place = Pick<RootDeps, 'root' | 'runRoot'>

/** Layers alone, from the top down, as `l/3`. */
export const imageView = (deps: Place, lower: readonly string[]): RootView => ({
  kind: 'overlay',
  ...stagedView(deps, lower),
  isWritten: false,
  readOnlyRoot: false,
  mounts: [],
})

function stagedView(deps: Place, lower: readonly string[]): LayersView {
  const stage = `${deps.runRoot}/view`
  mkdirSync(stage, { recursive: true, mode: 0o700 })
  return { dataRoot: deps.root, stage, lower, upper: undefined }
}

/** Of remapped containers: owners on disk are as inside, those of the running one's mounts are not. */
const shiftOf = (deps: RootDeps, row: ContainerRow): IdShift | undefined =>
  row.spec.namespaces?.user === 'remap' ? (deps.userNamespace ?? DEFAULT_SHIFT) : undefined

/** Of the last start. */
function etcMounts(deps: RootDeps, { id, spec }: ContainerRow): readonly ViewMount[] {
  const { hosts, hostname, resolvConf } = deps.pathsOf(id)
  const files = { '/etc/hosts': hosts, '/etc/hostname': hostname, '/etc/resolv.conf': resolvConf }
  return Object.entries(files)
    .filter(
      ([target, source]) => existsSync(source) && !spec.mounts?.some((mount) => mount.target === target),
    )
    .map(([target, source]) => ({
      source,
      subpath: undefined,
      target,
      readOnly: spec.readOnlyRootfs ?? false,
    }))
}

function viewMounts(deps: RootDeps, row: ContainerRow): readonly ViewMount[] {
  return (row.mounts ?? []).flatMap((mount): ViewMount[] => {
    if (mount.type === 'tmpfs') return []
    const subpath = mount.type === 'volume' ? mount.subpath : undefined
    const source =
      mount.type === 'bind'
        ? mount.source
        : subpath === undefined
          ? mount.hostPath
          : deps.volumePath(mount.source ?? '')
    if (source === undefined) return []
    return [{ source, subpath, target: mount.target, readOnly: mount.readOnly ?? false }]
  })
}

function openQuietly(path: string): number | undefined {
  try {
    return openSync(path, O_PATH | constants.O_DIRECTORY)
  } catch {
    return undefined
  }
}
