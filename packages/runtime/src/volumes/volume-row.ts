import { fault } from '@berth/core'
import type { VolumeInfo, VolumeSpec } from '../api.js'
import type { PluginVolume } from './plugins/plugin-messages.js'
import type { VolumeRow } from './volumes.store.js'

const LOCAL = 'local'

export const newVolumeRow = (
  name: string,
  spec: VolumeSpec,
  madeFor: string | undefined,
  nowMs: number,
): VolumeRow => ({
  name,
  labels: spec.labels ?? {},
  ...(spec.driver && spec.driver !== LOCAL ? { driver: spec.driver } : {}),
  driverOptions: spec.driverOptions ?? {},
  anonymous: !spec.name,
  createdAt: new Date(nowMs).toISOString(),
  madeFor: spec.name ? undefined : madeFor,
})

/**
 * Without driver and options an existing volume is meant, whatever it has.
 * @throws volume.conflict, about the driver with docker's words
 */
export function assertSameVolume(known: VolumeRow, { driver, driverOptions = {} }: VolumeSpec): VolumeRow {
  const knownDriver = known.driver ?? LOCAL
  if (driver && driver !== knownDriver)
    throw fault.alreadyExists(
      'volume.conflict',
      `create ${known.name}: driver '${knownDriver}' already has volume '${known.name}': volume name must be unique`,
      { params: { volume: known.name } },
    )
  const keys = Object.keys(driverOptions)
  const isSame =
    keys.length === 0 ||
    (keys.length === Object.keys(known.driverOptions).length &&
      keys.every((key) => known.driverOptions[key] === driverOptions[key]))
  if (isSame) return known
  throw fault.alreadyExists(
    'volume.conflict',
    `a volume named ${known.name} already exists with other driver options: remove it or choose another name`,
    { params: { volume: known.name } },
  )
}

export const volumeInfo = (
  row: VolumeRow,
  mountpoint: string,
  usedBy: readonly string[],
  found?: PluginVolume,
  scope: VolumeInfo['scope'] = 'local',
): VolumeInfo => ({
  ...{ name: row.name, anonymous: row.anonymous, labels: row.labels, driver: row.driver ?? LOCAL },
  ...{ driverOptions: row.driverOptions, scope, mountpoint, createdAt: found?.CreatedAt ?? row.createdAt },
  ...(found?.Status ? { status: found.Status } : {}),
  usedBy,
})
