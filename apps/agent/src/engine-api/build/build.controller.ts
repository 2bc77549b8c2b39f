import {
  type Call,
  Filters,
  familiarName,
  parseRegistryConfig,
  parseTimeNanos,
  type Route,
} from '@berth/engine-api'
import { parseReference, type Runtime } from '@berth/runtime'
import { ProgressStream } from '../progress-stream.js'
import { BuildLog } from './build-log.js'
import { parseBuildQuery } from './build-query.js'
import { buildWithSession, cancelBuild, type SessionBuildDeps } from './buildkit/session-build.controller.js'
import { inDockerWords } from './docker-words.js'

export interface BuildEndpointDeps extends SessionBuildDeps {
  readonly runtime: Runtime
  nowMs(): number
}

const BUILDKIT = 2

/** `docker build` with the classic builder's protocol, or with BuildKit's. */
export function buildRoutes(deps: BuildEndpointDeps): readonly Route[] {
  const isBuildKit = (call: Call) => call.query.int('version') === BUILDKIT
  return [
    {
      method: 'POST',
      path: '/build',
      handle: (call) => (isBuildKit(call) ? buildWithSession(deps, call) : build(deps, call)),
    },
    { method: 'POST', path: '/build/cancel', handle: (call) => cancelBuild(deps, call) },
    { method: 'POST', path: '/build/prune', handle: (call) => prune(deps, call) },
  ]
}

async function build({ runtime }: BuildEndpointDeps, call: Call): Promise<void> {
  const settings = parseBuildQuery(call.query)
  for (const tag of settings.tags) parseReference(tag)
  const isQuiet = call.query.bool('q')
  const registryAuths = parseRegistryConfig(call.headers['x-registry-config'])
  const remote = call.query.string('remote')
  const context = remote
    ? await runtime.builds.openRemoteContext(remote, call.signal)
    : await runtime.builds.openContext(call.body, call.signal)
  try {
    const out = new ProgressStream(call)
    const log = new BuildLog((stream) => (isQuiet ? undefined : out.tell({ stream })))
    await out.run(async () => {
      const { image } = await runtime
        .build({
          ...settings,
          registryAuths,
          contextDir: context.dir,
          signal: call.signal,
          onEvent: (event) => log.take(event),
        })
        .catch((error: unknown) => {
          throw inDockerWords(error)
        })
      if (isQuiet) return out.tell({ stream: `${image.id}\n` })
      out.tell({ aux: { ID: image.id } })
      out.tell({ stream: `Successfully built ${image.id.replace('sha256:', '').slice(0, 12)}\n` })
      for (const tag of settings.tags) out.tell({ stream: `Successfully tagged ${taggedName(tag)}\n` })
    })
  } finally {
    await context.release()
  }
}

const taggedName = (tag: string): string => familiarName(/:[^/]*$/.test(tag) ? tag : `${tag}:latest`)

const NANOS_PER_MS = 1_000_000n
const PRUNE_FILTERS = [
  'until',
  'unused-for',
  'id',
  'keep-storage',
  'parent',
  'type',
  'description',
  'inuse',
  'shared',
  'private',
  'label',
  'label!',
] as const

/** `docker builder prune`. */
async function prune({ runtime, kept, nowMs }: BuildEndpointDeps, call: Call): Promise<void> {
  const filters = Filters.parse(call.query.string('filters'), PRUNE_FILTERS)
  // `docker system prune` says these to everybody; records of the cache have no labels, so none of them fits.
  if (filters.has('label')) return call.json(200, { CachesDeleted: null, SpaceReclaimed: 0 })
  await kept.clear()
  const [until] = [...filters.get('until'), ...filters.get('unused-for')]
  const keepBytes = call.query.int('keep-storage')
  const ids = filters.get('id')
  const { ids: gone, freedBytes } = await runtime.builds.prune({
    ...(until === undefined
      ? {}
      : { usedBeforeMs: Number((parseTimeNanos(until, nowMs()) ?? 0n) / NANOS_PER_MS) }),
    ...(keepBytes ? { keepBytes } : {}),
    ...(ids.length > 0 ? { ids } : {}),
  })
  call.json(200, { CachesDeleted: gone.length > 0 ? gone : null, SpaceReclaimed: freedBytes })
}
