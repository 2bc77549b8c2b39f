import { fault } from '@berth/core'
import type { Call, Route } from '@berth/engine-api'
import { type Consistency, decodeVolumeExport, encodeVolumeExport, type Runtime } from '@berth/runtime'
import { volumeJson } from './volume-json.js'

export const EXPORT_TYPE = 'application/vnd.berth.volume-export'

/**
 * Copies of volumes, which docker does not have, under a prefix of our own (docs/engine.md):
 * `GET export?id=&from=&consistency=&keep=`, `DELETE export?id=`, `POST import`, `GET import` (how far it has come), `DELETE import`,
 * `POST clone?name=&consistency=`.
 */
export function volumeCopyRoutes({ volumes }: Runtime): readonly Route[] {
  const at = (action: string) => `/berth/volumes/{name}/${action}`
  return [
    { method: 'GET', path: at('export'), handle: (call) => exportVolume(volumes, call) },
    { method: 'DELETE', path: at('export'), handle: (call) => endExport(volumes, call) },
    { method: 'POST', path: at('import'), handle: (call) => importVolume(volumes, call) },
    { method: 'GET', path: at('import'), handle: (call) => importProgress(volumes, call) },
    { method: 'DELETE', path: at('import'), handle: (call) => abandonImport(volumes, call) },
    { method: 'POST', path: at('clone'), handle: (call) => clone(volumes, call) },
  ]
}

type Volumes = Runtime['volumes']

async function exportVolume(volumes: Volumes, call: Call): Promise<void> {
  const id = call.query.string('id')
  const fromChunk = call.query.int('from') ?? 0
  if (fromChunk < 0) throw invalidQuery('from', 'a chunk’s number is 0 or more')
  const found = await volumes.export(nameOf(call), {
    ...(id ? { id } : {}),
    ...{ fromChunk, consistency: consistencyOf(call), keep: call.query.bool('keep'), signal: call.signal },
  })
  const stream = call.stream(EXPORT_TYPE, { headers: { 'X-Berth-Export': found.id } })
  for await (const bytes of encodeVolumeExport(found)) await stream.write(bytes)
  await stream.end()
}

async function endExport(volumes: Volumes, call: Call): Promise<void> {
  await volumes.endExport(call.query.string('id') ?? '')
  call.empty(204)
}

async function importVolume(volumes: Volumes, call: Call): Promise<void> {
  const source = await decodeVolumeExport(call.body)
  call.json(201, volumeJson(await volumes.import(nameOf(call), source)))
}

async function importProgress(volumes: Volumes, call: Call): Promise<void> {
  const progress = await volumes.importProgress(nameOf(call))
  call.json(200, progress ? { Export: progress.exportId, NextChunk: progress.nextChunk } : null)
}

async function abandonImport(volumes: Volumes, call: Call): Promise<void> {
  await volumes.abandonImport(nameOf(call))
  call.empty(204)
}

async function clone(volumes: Volumes, call: Call): Promise<void> {
  const newName = call.query.string('name')
  if (newName === undefined) throw invalidQuery('name', 'the clone needs a name')
  const options = { consistency: consistencyOf(call), signal: call.signal }
  call.json(201, volumeJson(await volumes.clone(nameOf(call), newName, options)))
}

const nameOf = (call: Call): string => call.params.name ?? ''

function consistencyOf(call: Call): Consistency {
  const said = call.query.string('consistency') ?? 'pause'
  if (said === 'pause' || said === 'live') return said
  throw invalidQuery('consistency', 'it is pause or live')
}

const invalidQuery = (name: string, why: string) =>
  fault.invalidArgument('engine.query_invalid', `invalid value for ${name}: ${why}`)
