import { fault } from '@berth/core'
import { type Call, Filters, isAtLeast, type Route } from '@berth/engine-api'
import type { Runtime, VolumeInfo } from '@berth/runtime'
import { z } from 'zod'
import { matchesVolume, VOLUME_FILTERS, volumeJson } from './volume-json.js'

const texts = z.record(z.string(), z.string()).nullish()
const createSchema = z.object({
  Name: z.string().nullish(),
  Driver: z.string().nullish(),
  DriverOpts: texts,
  Labels: texts,
  ClusterVolumeSpec: z.unknown().optional(),
})

/** `docker volume …`. */
export function volumeRoutes(runtime: Runtime): readonly Route[] {
  return [
    { method: 'GET', path: '/volumes', handle: (call) => list(runtime, call) },
    { method: 'POST', path: '/volumes/create', handle: (call) => create(runtime, call) },
    {
      method: 'GET',
      path: '/volumes/{name}',
      handle: async (call) => call.json(200, volumeJson(await volumeOf(runtime, call))),
    },
    { method: 'DELETE', path: '/volumes/{name}', handle: (call) => remove(runtime, call) },
    { method: 'POST', path: '/volumes/prune', handle: (call) => prune(runtime, call) },
  ]
}

/** @throws volume.not_found in docker's words */
async function volumeOf(runtime: Runtime, call: Call): Promise<VolumeInfo> {
  const name = call.params.name ?? ''
  const volume = (await runtime.volumes.list()).find((one) => one.name === name)
  if (!volume) throw noSuchVolume(name)
  return volume
}

const noSuchVolume = (name: string) =>
  fault.notFound('volume.not_found', `get ${name}: no such volume`, { params: { volume: name } })

async function list(runtime: Runtime, call: Call): Promise<void> {
  const filters = Filters.parse(call.query.string('filters'), VOLUME_FILTERS)
  const volumes = (await runtime.volumes.list()).filter((volume) => matchesVolume(volume, filters))
  call.json(200, { Volumes: volumes.map((volume) => volumeJson(volume)), Warnings: null })
}

async function create(runtime: Runtime, call: Call): Promise<void> {
  const wanted = await call.readJson(createSchema)
  if (wanted.Driver && wanted.Driver !== 'local')
    throw fault.notFound(
      'volume.driver_not_found',
      `create ${wanted.Name ?? ''}: error looking up volume plugin ${wanted.Driver}: plugin "${wanted.Driver}" not found`,
    )
  const volume = await runtime.volumes.create({
    ...(wanted.Name ? { name: wanted.Name } : {}),
    labels: wanted.Labels ?? {},
    driverOptions: wanted.DriverOpts ?? {},
  })
  call.json(201, volumeJson(volume))
}

async function remove(runtime: Runtime, call: Call): Promise<void> {
  const isForced = call.query.bool('force')
  const name = call.params.name ?? ''
  const volume = (await runtime.volumes.list()).find((one) => one.name === name)
  if (!volume && !isForced) throw noSuchVolume(name)
  if (volume && volume.usedBy.length > 0)
    throw fault.conflict(
      'volume.in_use',
      `remove ${name}: volume is in use - [${volume.usedBy.join(', ')}]`,
      {
        params: { volume: name },
      },
    )
  if (volume) await runtime.volumes.remove(name, { force: isForced })
  call.empty(204)
}

async function prune(runtime: Runtime, call: Call): Promise<void> {
  const filters = Filters.parse(call.query.string('filters'), ['all', 'label', 'label!'])
  const entries = filters
    .get('label')
    .map((text): [string, string] => [text.split('=')[0] ?? '', text.replace(/^[^=]*=?/, '')])
  // Before 1.42 every unused volume went, named ones too.
  const isAll = !isAtLeast(call.version, '1.42') || filters.bool('all') === true
  const { removed, reclaimedBytes } = await runtime.volumes.prune({
    all: isAll,
    labels: Object.fromEntries(entries),
  })
  call.json(200, { VolumesDeleted: removed.length > 0 ? removed : null, SpaceReclaimed: reclaimedBytes })
}
