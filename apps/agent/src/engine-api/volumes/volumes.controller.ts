import { Fault } from '@berth/core'
import { type Call, Filters, isAtLeast, type Route } from '@berth/engine-api'
import type { Runtime, VolumeInfo, VolumeSpec } from '@berth/runtime'
import { z } from 'zod'
import { matchesVolume, PRUNE_FILTERS, VOLUME_FILTERS, volumeJson, wantsPruned } from './volume-json.js'

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
      handle: async (call) => call.json(200, volumeJson(await runtime.volumes.get(call.params.name ?? ''))),
    },
    { method: 'DELETE', path: '/volumes/{name}', handle: (call) => remove(runtime, call) },
    { method: 'POST', path: '/volumes/prune', handle: (call) => prune(runtime, call) },
  ]
}

async function list(runtime: Runtime, call: Call): Promise<void> {
  const filters = Filters.parse(call.query.string('filters'), VOLUME_FILTERS)
  // Refused also where there is nothing to filter.
  filters.bool('dangling')
  const warnings: string[] = []
  const found = await runtime.volumes.list({ onWarning: (text) => void warnings.push(text) })
  const volumes = found.filter((volume) => matchesVolume(volume, filters))
  call.json(200, {
    Volumes: volumes.map((volume) => volumeJson(volume)),
    Warnings: warnings.length > 0 ? warnings : null,
  })
}

async function create(runtime: Runtime, call: Call): Promise<void> {
  const wanted = await call.readJson(createSchema)
  const spec: VolumeSpec = {
    ...(wanted.Name ? { name: wanted.Name } : {}),
    ...(wanted.Driver ? { driver: wanted.Driver } : {}),
    labels: wanted.Labels ?? {},
    driverOptions: wanted.DriverOpts ?? {},
  }
  call.json(201, volumeJson(await createOrFind(runtime, spec)))
}

/** To docker a volume of the same name and driver is the one that is meant, whatever its options are. */
async function createOrFind(runtime: Runtime, spec: VolumeSpec): Promise<VolumeInfo> {
  try {
    return await runtime.volumes.create(spec)
  } catch (error) {
    if (!Fault.is(error, 'volume.conflict') || spec.name === undefined) throw error
    const known = await runtime.volumes.get(spec.name)
    if (known.driver !== (spec.driver ?? 'local')) throw error
    return known
  }
}

async function remove(runtime: Runtime, call: Call): Promise<void> {
  await runtime.volumes.remove(call.params.name ?? '', { force: call.query.bool('force') })
  call.empty(204)
}

async function prune(runtime: Runtime, call: Call): Promise<void> {
  const filters = Filters.parse(call.query.string('filters'), PRUNE_FILTERS)
  // Before 1.42 every unused volume went, named ones too.
  const all = !isAtLeast(call.version, '1.42') || filters.bool('all') === true
  const { removed, reclaimedBytes } = await runtime.volumes.prune({
    all,
    only: (volume) => wantsPruned(volume, filters),
  })
  call.json(200, { VolumesDeleted: removed.length > 0 ? removed : null, SpaceReclaimed: reclaimedBytes })
}
