import { closeSync, constants, openSync } from 'node:fs'
import { type ContainerId, failpoint, fault } from '@berth/core'
import type { ImageRecord, MountedPoint, MountSpec } from '../api.js'
import type { ContainerRow } from '../containers/containers.store.js'
import type { MountRoom } from '../containers/mount-room.js'
import { shortId } from '../containers/paths.js'
import { imageView } from '../files/container-root.exec.js'
import { askFiles } from '../files/files-child.exec.js'
import { O_PATH } from '../host/confined.js'
import { ensureBindSource, stageBind } from './bind-source.exec.js'
import { volumeMount } from './driver-options.js'
import { wantedMounts } from './plan-mounts.js'
import { LOCAL_DRIVER } from './plugins/volume-drivers.exec.js'
import { mountSubpath, mountVolume, unmountPlace } from './volume-mounts.exec.js'
import type { VolumeRow } from './volumes.store.js'
import { isPlain, type VolumesModule, withWords } from './volumes-module.exec.js'

export interface MountsDeps {
  readonly root: string
  readonly runRoot: string
  readonly volumes: VolumesModule
  /** Unpacked layers of an image, bottom up. */
  layersOf(image: ImageRecord): readonly { readonly dir: number }[]
}

type VolumeSpecMount = Extract<MountSpec, { type: 'volume' }>

/** What volumes and binds do for a container, from its creation to its removal. */
export function openMounts(deps: MountsDeps): MountRoom {
  return {
    prepare: (row, image) => prepareMounts(deps, row, image),
    ensureSources: (row) => ensureMountSources(deps, row),
    settled: (row) => unstageBinds(row),
    leave: (row) => leaveMounts(deps, row),
    removeAnonymous: (id) => removeAnonymous(deps, id),
  }
}

/**
 * At create: volumes are made and filled, sources are looked at. Volumes that were made for the container know its id, so that a crash
 * leaves none behind. @throws container.mount_refused, volume.name_invalid, volume.option_invalid, volume.conflict
 */
async function prepareMounts(
  deps: MountsDeps,
  row: ContainerRow,
  image: ImageRecord,
): Promise<readonly MountedPoint[]> {
  const mounts: MountedPoint[] = []
  for (const [index, mount] of wantedMounts(row.spec, image.config.volumes).entries()) {
    if (mount.type === 'tmpfs') mounts.push({ ...mount, hostPath: undefined })
    else if (mount.type === 'bind') {
      ensureBindSource(mount.source, mount.createSource ?? false, ours(deps))
      mounts.push({ ...mount, hostPath: placeOf(deps, row.id, index) })
    } else mounts.push(await prepareVolume(deps, row, image, mount, index))
  }
  return mounts
}

const ours = ({ root, runRoot }: MountsDeps): readonly string[] => [root, runRoot]

async function prepareVolume(
  deps: MountsDeps,
  row: ContainerRow,
  image: ImageRecord,
  mount: VolumeSpecMount,
  index: number,
): Promise<MountedPoint> {
  const { volumes } = deps
  const { labels, driver, driverOptions } = mount
  const volume = await volumes.ensureFor(row.id, {
    ...(mount.source === undefined ? {} : { name: mount.source }),
    ...(labels ? { labels } : {}),
    ...(driver ? { driver } : {}),
    ...(driverOptions ? { driverOptions } : {}),
  })
  await failpoint('container.create.after_volume')
  if (!mount.noCopy && mount.subpath === undefined) await fill(deps, image, mount.target, volume)
  const isStaged = mount.subpath !== undefined || volume.driver !== undefined
  const hostPath = isStaged ? placeOf(deps, row.id, index) : volumes.store.path(volume.name)
  return {
    ...{ ...mount, source: volume.name, hostPath },
    ...(volume.driver === undefined ? {} : { driver: volume.driver }),
  }
}

/** One that lies elsewhere is mounted for it, and only when the image has something there. */
async function fill(deps: MountsDeps, image: ImageRecord, target: string, volume: VolumeRow): Promise<void> {
  if (isPlain(volume)) return copyUp(deps, image, target, deps.volumes.store.ensureDirectory(volume.name))
  if (await hasPath(deps, image, target))
    await deps.volumes.withData(volume, (path) => copyUp(deps, image, target, path))
}

async function hasPath(deps: MountsDeps, image: ImageRecord, path: string): Promise<boolean> {
  try {
    await askFiles({ op: 'stat', view: viewOf(deps, image), path })
    return true
  } catch {
    return false
  }
}

/** The image's layers alone. */
const viewOf = (deps: MountsDeps, image: ImageRecord) =>
  imageView(
    deps,
    [...deps.layersOf(image)].reverse().map(({ dir }) => `l/${dir}`),
  )

const placeOf = ({ runRoot }: MountsDeps, id: ContainerId, index: number): string =>
  `${runRoot}/v/${shortId(id)}/${index}`

/** What the image has at the target goes into an empty volume, seen in the image's layers alone. */
async function copyUp(deps: MountsDeps, image: ImageRecord, target: string, volume: string): Promise<void> {
  const view = viewOf(deps, image)
  const targetFd = openSync(volume, O_PATH | constants.O_DIRECTORY)
  try {
    await askFiles({ op: 'copy-up', view, path: target }, { targetFd })
  } finally {
    closeSync(targetFd)
  }
}

/**
 * Before a start. @throws container.mount_refused, volume.not_found, volume.mount_failed, volume.subpath_missing, volume.subpath_refused, and
 * what a plugin's driver throws
 */
async function ensureMountSources(deps: MountsDeps, row: ContainerRow): Promise<void> {
  const { volumes } = deps
  volumes.entered.add(row.id)
  for (const [index, mount] of (row.mounts ?? []).entries()) {
    if (mount.type === 'bind') enterBind(deps, mount)
    if (mount.type !== 'volume') continue
    const volume = volumes.store.find(mount.source ?? '')
    if (!volume)
      throw fault.failedPrecondition('volume.not_found', `get ${mount.source}: no such volume`, {
        params: { volume: mount.source ?? '' },
      })
    const path = await enterVolume(deps, row, volume)
    if (mount.subpath !== undefined || volume.driver !== undefined)
      mountSubpath(path, mount.subpath ?? '.', placeOf(deps, row.id, index))
    volumes.tell('mount', volume.name, { driver: volume.driver ?? LOCAL_DRIVER, ...eventOf(row, mount) })
  }
}

/** Rows of before had the source itself as their place. */
function enterBind(deps: MountsDeps, mount: Extract<MountedPoint, { type: 'bind' }>): void {
  ensureBindSource(mount.source, mount.createSource ?? false, ours(deps))
  if (mount.hostPath !== undefined && mount.hostPath !== mount.source)
    stageBind(mount.source, mount.hostPath, ours(deps))
}

/** The directory where its data is for this run. */
async function enterVolume(deps: MountsDeps, row: ContainerRow, volume: VolumeRow): Promise<string> {
  const { volumes } = deps
  const { driver, name } = volume
  if (driver !== undefined)
    return withWords(`error while mounting volume '${name}'`, () =>
      volumes.pluginMounts.mount(driver, name, row.id),
    )
  const path = volumes.store.ensureDirectory(name)
  const wanted = volumeMount(volume.driverOptions)
  if (wanted) await mountVolume(wanted, path, ours(deps))
  return path
}

/** The container has its own by now. */
function unstageBinds(row: ContainerRow): void {
  for (const mount of row.mounts ?? [])
    if (mount.type === 'bind' && mount.hostPath !== undefined && mount.hostPath !== mount.source)
      unmountPlace(mount.hostPath, false)
}

const eventOf = (row: ContainerRow, mount: VolumeSpecMount) => ({
  container: row.id,
  destination: mount.target,
  'read/write': String(!(mount.readOnly ?? false)),
  propagation: '',
})

/** After a run: what was mounted for it goes, and volumes that no other running container has. Idempotent. */
async function leaveMounts(deps: MountsDeps, row: ContainerRow): Promise<void> {
  const { volumes } = deps
  const wasEntered = volumes.entered.delete(row.id)
  unstageBinds(row)
  for (const [index, mount] of (row.mounts ?? []).entries()) {
    if (mount.type !== 'volume' || mount.source === undefined) continue
    const volume = volumes.store.find(mount.source)
    if (mount.subpath !== undefined || mount.driver !== undefined)
      unmountPlace(placeOf(deps, row.id, index), false)
    if (!volume) continue
    if (
      volume.driver === undefined &&
      Object.keys(volume.driverOptions).length > 0 &&
      !volumes.isEnteredBesides(volume.name)
    )
      unmountPlace(volumes.store.path(volume.name), true)
    if (wasEntered)
      volumes.tell('unmount', volume.name, { driver: volume.driver ?? LOCAL_DRIVER, container: row.id })
  }
  await volumes.pluginMounts.release(row.id)
}

/** One that its plugin does not remove now stays, and is seen in every list. */
async function removeAnonymous({ volumes }: MountsDeps, id: ContainerId): Promise<void> {
  for (const { name, madeFor, driver } of volumes.store.list()) {
    if (madeFor !== id || volumes.usersOf(name, id).length > 0) continue
    const dropped = volumes.drop(name)
    await (driver === undefined ? dropped : dropped.catch(() => {}))
  }
}
