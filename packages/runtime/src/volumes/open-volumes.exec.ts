import { Fault, fault } from '@berth/core'
import type { PruneVolumesOptions, VolumeCopies, VolumeInfo, Volumes } from '../api.js'
import { LOCAL_DRIVER } from './plugins/volume-drivers.exec.js'
import { volumeInfo } from './volume-row.js'
import type { VolumeRow } from './volumes.store.js'
import { isPlain, type VolumesModule } from './volumes-module.exec.js'

/** The face of the volumes. */
export function openVolumes(module: VolumesModule, copies: VolumeCopies): Volumes {
  return {
    ...copies,
    create: async (spec) => module.describe(await module.ensure(spec)),
    get: (name) => getVolume(module, name),
    list: (options) => listVolumes(module, options?.onWarning ?? (() => {})),
    remove: (name, options) => removeVolume(module, name, options?.force ?? false),
    prune: (options = {}) => pruneVolumes(module, options),
    drivers: async () => [LOCAL_DRIVER, ...(await module.drivers.names())],
  }
}

async function getVolume(module: VolumesModule, name: string): Promise<VolumeInfo> {
  const row = module.store.find(name)
  if (row) return module.describe(row)
  const found = await module.findAtPlugins(name)
  if (!found) return module.describe(module.store.get(name))
  return module.describeForeign(found.driver, found.volume)
}

/** Rows, and what plugins have besides. */
async function listVolumes(
  module: VolumesModule,
  onWarning: (text: string) => void,
): Promise<readonly VolumeInfo[]> {
  const rows = module.store.list()
  const listed = new Map<string, readonly VolumeInfo[]>()
  for (const driver of await pluginsOf(module, rows)) {
    try {
      const found = await module.drivers.list(driver)
      listed.set(driver, await Promise.all(found.map((volume) => module.describeForeign(driver, volume))))
    } catch (error) {
      onWarning(Fault.from(error).message)
    }
  }
  const known = rows.map((row) => describeListed(module, row, listed.get(row.driver ?? '') ?? []))
  const names = new Set(rows.map(({ name }) => name))
  const foreign = [...listed.values()].flat().filter(({ name }) => !names.has(name))
  return [...known, ...foreign].sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function pluginsOf(module: VolumesModule, rows: readonly VolumeRow[]): Promise<readonly string[]> {
  const named = rows.flatMap(({ driver }) => driver ?? [])
  return [...new Set([...named, ...(await module.drivers.names())])]
}

function describeListed(module: VolumesModule, row: VolumeRow, listed: readonly VolumeInfo[]): VolumeInfo {
  const users = module.usersOf(row.name)
  if (row.driver === undefined) return volumeInfo(row, module.store.path(row.name), users)
  const found = listed.find(({ name }) => name === row.name)
  return volumeInfo(row, found?.mountpoint ?? '', users, undefined, found?.scope)
}

/** `force` forgives that it is not there, as docker's does, and that its plugin fails. */
async function removeVolume(module: VolumesModule, name: string, force: boolean): Promise<void> {
  if (!module.store.find(name)) {
    const found = await module.findAtPlugins(name)
    if (found) return module.dropForeign(found.driver, name)
    if (force) return
  }
  const { name: known } = module.store.get(name)
  const users = module.usersOf(known)
  if (users.length > 0)
    throw fault.failedPrecondition(
      'volume.in_use',
      `remove ${known}: volume is in use - [${users.join(', ')}]`,
      { params: { volume: known } },
    )
  await module.drop(known, force)
}

async function pruneVolumes(
  module: VolumesModule,
  { all = false, labels = {}, only = () => true }: PruneVolumesOptions,
) {
  const isWanted = (row: VolumeRow) =>
    isPlain(row) &&
    (all || row.anonymous) &&
    Object.entries(labels).every(([key, value]) => row.labels[key] === value) &&
    module.usersOf(row.name).length === 0 &&
    only(volumeInfo(row, module.store.path(row.name), []))
  const found = module.store.list().filter(isWanted)
  const sizes = await module.sizes(found.map(({ name }) => name))
  const removed: string[] = []
  let reclaimedBytes = 0
  for (const [index, row] of found.entries()) {
    const now = module.store.find(row.name)
    if (!now || !isWanted(now)) continue
    await module.drop(row.name)
    removed.push(row.name)
    reclaimedBytes += sizes[index] ?? 0
  }
  module.tell('prune', '', { reclaimed: String(reclaimedBytes) })
  return { removed, reclaimedBytes }
}
