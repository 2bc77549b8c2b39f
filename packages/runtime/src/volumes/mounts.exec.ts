import { closeSync, constants, openSync } from 'node:fs'
import { type ContainerId, failpoint, fault } from '@berth/core'
import type { ImageRecord, MountedPoint, MountSpec } from '../api.js'
import type { ContainerRow } from '../containers/containers.store.js'
import type { MountRoom } from '../containers/mount-room.js'
import { shortId } from '../containers/paths.js'
import { imageView } from '../files/container-root.exec.js'
import { askFiles } from '../files/files-child.exec.js'
import { O_PATH } from '../host/confined.js'
import { ensureBindSource } from './bind-source.exec.js'
import { volumeMount } from './driver-options.js'
import type { VolumesModule } from './open-volumes.exec.js'
import { wantedMounts } from './plan-mounts.js'
import { mountSubpath, mountVolume, unmountPlace } from './volume-mounts.exec.js'

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
      mounts.push({ ...mount, hostPath: mount.source })
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
  const { labels, driverOptions } = mount
  const volume = volumes.ensureFor(row.id, {
    ...(mount.source === undefined ? {} : { name: mount.source }),
    ...(labels ? { labels } : {}),
    ...(driverOptions ? { driverOptions } : {}),
  })
  await failpoint('container.create.after_volume')
  const isPlain = Object.keys(volume.driverOptions).length === 0
  if (isPlain && !mount.noCopy && mount.subpath === undefined)
    await copyUp(deps, image, mount.target, volumes.store.ensureDirectory(volume.name))
  const hostPath =
    mount.subpath === undefined ? volumes.store.path(volume.name) : placeOf(deps, row.id, index)
  return { ...mount, source: volume.name, hostPath }
}

const placeOf = ({ runRoot }: MountsDeps, id: ContainerId, index: number): string =>
  `${runRoot}/v/${shortId(id)}/${index}`

/** What the image has at the target goes into an empty volume, seen in the image's layers alone. */
async function copyUp(deps: MountsDeps, image: ImageRecord, target: string, volume: string): Promise<void> {
  const lower = [...deps.layersOf(image)].reverse().map(({ dir }) => `l/${dir}`)
  const view = imageView(deps, lower)
  const targetFd = openSync(volume, O_PATH | constants.O_DIRECTORY)
  try {
    await askFiles({ op: 'copy-up', view, path: target }, { targetFd })
  } finally {
    closeSync(targetFd)
  }
}

/** Before a start. @throws container.mount_refused, volume.not_found, volume.mount_failed, volume.subpath_missing, volume.subpath_refused */
async function ensureMountSources(deps: MountsDeps, row: ContainerRow): Promise<void> {
  const { volumes } = deps
  volumes.entered.add(row.id)
  for (const [index, mount] of (row.mounts ?? []).entries()) {
    if (mount.type === 'bind') ensureBindSource(mount.source, mount.createSource ?? false, ours(deps))
    if (mount.type !== 'volume') continue
    const volume = volumes.store.find(mount.source ?? '')
    if (!volume)
      throw fault.failedPrecondition('volume.not_found', `get ${mount.source}: no such volume`, {
        params: { volume: mount.source ?? '' },
      })
    const path = volumes.store.ensureDirectory(volume.name)
    const wanted = volumeMount(volume.driverOptions)
    if (wanted?.device.startsWith('/') && wanted.flags & BIND)
      ensureBindSource(wanted.device, false, ours(deps))
    if (wanted) await mountVolume(wanted, path)
    if (mount.subpath !== undefined) mountSubpath(path, mount.subpath, placeOf(deps, row.id, index))
    volumes.tell('mount', volume.name, eventOf(row, mount))
  }
}

const BIND = 4096

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
  for (const [index, mount] of (row.mounts ?? []).entries()) {
    if (mount.type !== 'volume' || mount.source === undefined) continue
    if (mount.subpath !== undefined) unmountPlace(placeOf(deps, row.id, index), false)
    const volume = volumes.store.find(mount.source)
    if (!volume) continue
    if (Object.keys(volume.driverOptions).length > 0 && !volumes.isEnteredBesides(volume.name))
      unmountPlace(volumes.store.path(volume.name), true)
    if (wasEntered) volumes.tell('unmount', volume.name, { container: row.id })
  }
}

async function removeAnonymous({ volumes }: MountsDeps, id: ContainerId): Promise<void> {
  for (const { name, madeFor } of volumes.store.list())
    if (madeFor === id && volumes.usersOf(name, id).length === 0) volumes.drop(name)
}
