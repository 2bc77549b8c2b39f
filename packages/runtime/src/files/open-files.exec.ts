import { closeSync, existsSync } from 'node:fs'
import { type ContainerId, fault } from '@berth/core'
import type {
  CommitOptions,
  ContainerAction,
  Containers,
  CopyInOptions,
  FileChange,
  FileStat,
  ImageRecord,
} from '../api.js'
import type { ContainerRow, ContainerStore } from '../containers/containers.store.js'
import type { NewEvent } from '../event-log.js'
import type { NewImage } from '../images/make-image.exec.js'
import {
  type ContainerRoot,
  layersView,
  openMountedRoot,
  openRunningRoot,
  overlayView,
  type RootDeps,
} from './container-root.exec.js'
import { askFiles, type ChildArchive, readFiles, writeFiles } from './files-child.exec.js'
import type { FilesAnswer, FilesRequest, RawStat, RootView } from './requests.js'

export interface FilesDeps extends RootDeps {
  readonly store: ContainerStore
  /** One operation at a time on a container that does not run. */
  exclusive<T>(id: ContainerId, work: () => Promise<T>): Promise<T>
  findImage(id: string): Promise<ImageRecord | undefined>
  makeImage(image: NewImage): Promise<ImageRecord>
  pause(id: ContainerId): Promise<void>
  unpause(id: ContainerId): Promise<void>
  nowMs(): number
  emit(event: NewEvent): void
}

/** Files of containers, and images from them: each call is one short-lived child that is confined to the container's root. */
export function openFiles(deps: FilesDeps): Pick<Containers, 'files' | 'commit'> {
  return {
    files: {
      stat: (id, path) => stat(deps, id, path),
      copyOut: (id, path, signal) => copyOut(deps, id, path, signal),
      copyIn: (id, path, archive, options) => copyIn(deps, id, path, archive, options),
      diff: (id) => diff(deps, id),
      export: (id, signal) => exportRoot(deps, id, signal),
    },
    commit: (id, options) => commit(deps, id, options),
  }
}

async function stat(deps: FilesDeps, id: ContainerId, path: string): Promise<FileStat> {
  const row = deps.store.get(id)
  return withRoot(readRoot(deps, row, true), async ({ view, fd }) =>
    statFrom(await askFiles({ op: 'stat', view, path: checked(path) }, rootOf(fd))),
  )
}

async function copyOut(deps: FilesDeps, id: ContainerId, path: string, signal: AbortSignal | undefined) {
  const row = deps.store.get(id)
  const { head, archive } = await withRoot(readRoot(deps, row, true), ({ view, fd }) =>
    readFiles({ op: 'copy-out', view, path: checked(path) }, rootOf(fd, signal)),
  )
  tell(deps, row, 'archive-path')
  return { stat: statFrom(head), archive }
}

async function copyIn(
  deps: FilesDeps,
  id: ContainerId,
  path: string,
  archive: AsyncIterable<Uint8Array>,
  options: CopyInOptions = {},
): Promise<void> {
  const request = (view: RootView): FilesRequest => ({
    op: 'copy-in',
    view,
    path: checked(path),
    noOverwriteDirNonDir: options.noOverwriteDirNonDir ?? false,
    copyOwners: options.copyOwners ?? false,
  })
  const running = openRunningRoot(deps, deps.store.get(id))
  const write = ({ view, fd }: ContainerRoot) =>
    writeFiles(request(view), archive, rootOf(fd, options.signal))
  if (running) await withRoot(running, write)
  else
    await deps.exclusive(id, () => {
      const row = deps.store.get(id)
      const now = openRunningRoot(deps, row)
      return withRoot(now ?? stoppedRoot(deps, row, { isWritten: true, withMounts: true }), write)
    })
  tell(deps, deps.store.get(id), 'extract-to-dir')
}

async function diff(deps: FilesDeps, id: ContainerId): Promise<readonly FileChange[]> {
  const layers = layersView(deps, deps.store.get(id))
  const said = await askFiles({ op: 'changes', layers, asLayer: false })
  const changes = said.kind === 'changes' ? said.changes : []
  return changes
    .map(({ kind, path }) => ({ kind, path: Buffer.from(path, 'latin1').toString() }))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
}

async function exportRoot(deps: FilesDeps, id: ContainerId, signal: AbortSignal | undefined) {
  const row = deps.store.get(id)
  const { archive } = await withRoot(readRoot(deps, row, false), ({ view, fd }) =>
    readFiles({ op: 'export', view }, rootOf(fd, signal)),
  )
  tell(deps, row, 'export')
  return archive
}

async function commit(deps: FilesDeps, id: ContainerId, options: CommitOptions): Promise<ImageRecord> {
  const row = deps.store.get(id)
  const parent = await deps.findImage(row.imageId)
  const mustPause = row.state === 'running' && options.pause !== false
  if (mustPause) await deps.pause(id)
  try {
    const { archive } = await changesAsLayer(deps, row)
    const { reference, author, comment, changes } = options
    const image = await deps.makeImage({
      ...(parent ? { parent } : {}),
      layer: archive,
      createdBy: (row.spec.command ?? parent?.config.cmd ?? []).join(' '),
      createdAtMs: deps.nowMs(),
      ...(reference ? { reference } : {}),
      ...(author ? { author } : {}),
      ...(comment ? { comment } : {}),
      ...(changes ? { changes } : {}),
    })
    tell(deps, row, 'commit', { comment: comment ?? '', imageID: image.id, imageRef: reference ?? '' })
    return image
  } finally {
    if (mustPause) await deps.unpause(id)
  }
}

/** Held in memory nowhere: the image's room reads it as it is made. */
const changesAsLayer = (deps: FilesDeps, row: ContainerRow): Promise<ChildArchive> =>
  readFiles({ op: 'changes', layers: layersView(deps, row), asLayer: true })

/** To look at: what a running container has, else a throw-away overlay, so that nobody has to wait for the reader. */
function readRoot(deps: FilesDeps, row: ContainerRow, withMounts: boolean): ContainerRoot {
  const rootfs = deps.pathsOf(row.id).rootfs
  const running = withMounts ? openRunningRoot(deps, row) : mountedRoot(deps, row, rootfs)
  return running ?? stoppedRoot(deps, row, { isWritten: false, withMounts })
}

const mountedRoot = (deps: FilesDeps, row: ContainerRow, rootfs: string): ContainerRoot | undefined =>
  row.process && existsSync(rootfs) ? openMountedRoot(deps, row, rootfs) : undefined

const stoppedRoot = (
  deps: FilesDeps,
  row: ContainerRow,
  how: { readonly isWritten: boolean; readonly withMounts: boolean },
): ContainerRoot => ({ view: overlayView(deps, row, how), fd: undefined })

/** The child has its own copy of the descriptor as soon as it was started. */
async function withRoot<T>(root: ContainerRoot, work: (root: ContainerRoot) => Promise<T>): Promise<T> {
  try {
    return await work(root)
  } finally {
    if (root.fd !== undefined) closeSync(root.fd)
  }
}

const rootOf = (fd: number | undefined, signal?: AbortSignal) => ({
  ...(fd === undefined ? {} : { rootFd: fd }),
  ...(signal ? { signal } : {}),
})

function checked(path: string): string {
  if (path === '' || path.includes('\0'))
    throw fault.invalidArgument('file.path_refused', `${JSON.stringify(path)} is not a path`)
  return path
}

function statFrom(said: FilesAnswer): FileStat {
  if (said.kind !== 'stat')
    throw fault.internal('file.child_failed', 'the files child did not say what it found')
  const { modifiedAtMs, ...rest }: RawStat = said.stat
  return { ...rest, modifiedAt: new Date(modifiedAtMs).toISOString() }
}

function tell(
  deps: FilesDeps,
  row: ContainerRow,
  action: ContainerAction,
  attributes: Readonly<Record<string, string>> = {},
): void {
  const { name, image, labels } = row.spec
  deps.emit({
    kind: 'container',
    action,
    id: row.id,
    attributes: { ...labels, image, name, ...attributes },
  })
}
