import { fault } from '@berth/core'
import {
  type Call,
  Filters,
  familiarName,
  parseRegistryAuth,
  parseTimeNanos,
  type Route,
} from '@berth/engine-api'
import type { ImageRecord, RemovedImage, Runtime } from '@berth/runtime'
import { noSuchImage } from '../no-such-image.js'
import { filterImages, IMAGE_FILTERS } from './image-filter.js'
import { historyJson, imageInspect, imageSummary } from './image-json.js'
import { inRemovalWords } from './removal-words.js'

export interface ImageEndpointDeps {
  readonly runtime: Runtime
  readonly nowMs: () => number
}

/** Images but for their transfers: list, look at, name, remove. */
export function imageRoutes(deps: ImageEndpointDeps): readonly Route[] {
  const { runtime } = deps
  return [
    { method: 'GET', path: '/images/json', handle: (call) => list(deps, call) },
    {
      method: 'GET',
      path: '/images/{name...}/json',
      handle: async (call) => call.json(200, imageInspect(await imageOf(runtime, call))),
    },
    {
      method: 'GET',
      path: '/images/{name...}/history',
      handle: async (call) => {
        const image = await imageOf(runtime, call)
        call.json(200, (await runtime.images.history(image.id)).map(historyJson))
      },
    },
    { method: 'POST', path: '/images/{name...}/tag', handle: (call) => tag(runtime, call) },
    { method: 'DELETE', path: '/images/{name...}', handle: (call) => remove(runtime, call) },
    { method: 'POST', path: '/images/prune', handle: (call) => prune(deps, call) },
    { method: 'GET', path: '/images/search', handle: (call) => search(runtime, call) },
  ]
}

const NANOS_PER_MS = 1_000_000n

/** A time as clients send it, in milliseconds. @throws engine.time_invalid */
const millis = (text: string, nowMs: number): number =>
  Number((parseTimeNanos(text, nowMs) ?? 0n) / NANOS_PER_MS)

/** @throws image.not_found in docker's words */
export async function imageOf(runtime: Runtime, call: Call): Promise<ImageRecord> {
  const name = call.params.name ?? ''
  const image = await runtime.images.find(name)
  if (!image) throw noSuchImage(name)
  return image
}

async function list({ runtime, nowMs }: ImageEndpointDeps, call: Call): Promise<void> {
  const filters = Filters.parse(call.query.string('filters'), IMAGE_FILTERS)
  const [images, containers] = await Promise.all([runtime.images.list(), runtime.containers.list()])
  const byId = new Map(
    images.flatMap((image) => [...image.references, image.id].map((name) => [name, image] as const)),
  )
  const named = await Promise.all(
    [...filters.get('before'), ...filters.get('since')].map(
      async (name) => [name, (await runtime.images.find(name)) ?? byId.get(name)] as const,
    ),
  )
  const found = new Map(named)
  const find = (name: string): ImageRecord => {
    const image = found.get(name)
    if (!image) throw noSuchImage(name)
    return image
  }
  const untilMs = (text: string) => millis(text, nowMs())
  const uses = Map.groupBy(containers, ({ imageId }) => imageId)
  const isShared = call.query.bool('shared-size')
  const shared = new Map(
    isShared ? (await runtime.diskUsage(call.signal)).images.map((one) => [one.id, one]) : [],
  )
  call.json(
    200,
    filterImages(images, filters, { find, untilMs }).map((image) =>
      imageSummary(
        image,
        isShared ? (uses.get(image.id)?.length ?? 0) : -1,
        shared.get(image.id)?.sharedBytes ?? -1,
      ),
    ),
  )
}

async function tag(runtime: Runtime, call: Call): Promise<void> {
  const image = await imageOf(runtime, call)
  const repo = call.query.string('repo') ?? ''
  const name = call.query.string('tag')
  if (repo.includes('@'))
    throw fault.invalidArgument('image.reference_invalid', `refusing to create a tag with a digest reference`)
  await runtime.images.tag(image.id, name ? `${repo}:${name}` : repo)
  call.empty(201)
}

async function remove(runtime: Runtime, call: Call): Promise<void> {
  const name = call.params.name ?? ''
  const image = await runtime.images.find(name)
  const removing = runtime.images.remove(name, { force: call.query.bool('force') })
  const removed = await removing.catch((error: unknown) => {
    throw inRemovalWords(error, name, image)
  })
  if (removed.length === 0) throw noSuchImage(name)
  call.json(200, removed.map(removedJson))
}

const removedJson = (removed: RemovedImage) =>
  'deleted' in removed ? { Deleted: removed.deleted } : { Untagged: familiarName(removed.untagged) }

async function prune({ runtime, nowMs }: ImageEndpointDeps, call: Call): Promise<void> {
  const filters = Filters.parse(call.query.string('filters'), ['dangling', 'label', 'label!', 'until'])
  const [until] = filters.get('until')
  const labels = Object.fromEntries(
    filters.get('label').map((text) => [text.split('=')[0] ?? '', text.replace(/^[^=]*=?/, '')]),
  )
  const { removed, reclaimedBytes } = await runtime.images.prune({
    all: filters.bool('dangling') === false,
    labels,
    ...(until === undefined ? {} : { createdBeforeMs: millis(until, nowMs()) }),
  })
  call.json(200, {
    ImagesDeleted: removed.length > 0 ? removed.map(removedJson) : null,
    SpaceReclaimed: reclaimedBytes,
  })
}

async function search(runtime: Runtime, call: Call): Promise<void> {
  const limit = call.query.int('limit')
  const auth = parseRegistryAuth(call.headers['x-registry-auth'])
  const found = await runtime.images.search(call.query.string('term') ?? '', {
    signal: call.signal,
    ...(limit === undefined ? {} : { limit }),
    ...(auth === undefined ? {} : { auth }),
  })
  call.json(
    200,
    found.map(({ name, description, stars, isOfficial }) => ({
      name,
      description,
      star_count: stars,
      is_official: isOfficial,
      is_automated: false,
    })),
  )
}
