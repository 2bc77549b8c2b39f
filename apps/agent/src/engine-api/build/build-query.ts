import { fault } from '@berth/core'
import type { Query } from '@berth/engine-api'
import { parseWithSchema } from '@berth/engine-api'
import type { BuildRequest } from '@berth/runtime'
import { z } from 'zod'

export type BuildSettings = Omit<BuildRequest, 'contextDir' | 'signal' | 'onEvent'>

const texts = z.record(z.string(), z.string())
/** docker-compose and the CLI send null for one that takes the environment's value and has none. */
const maybeTexts = z.record(z.string(), z.string().nullable())
const ulimits = z.array(z.object({ Name: z.string(), Hard: z.number().int(), Soft: z.number().int() }))
const lists = z.array(z.string())

const refuse = (message: string) => fault.invalidArgument('build.query_invalid', message)

function json<S extends z.ZodType>(query: Query, name: string, schema: S): z.output<S> | undefined {
  const text = query.string(name)
  // Go clients write a list or map that was never made as null.
  if (text === undefined || text === 'null') return undefined
  try {
    return parseWithSchema(schema, JSON.parse(text) as unknown)
  } catch (error) {
    throw refuse(`invalid value for ${name}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** The query of `POST /build` (API 1.44). @throws build.query_invalid, build.unsupported */
export function parseBuildQuery(query: Query): BuildSettings {
  refuseWhatIsNot(query)
  const buildArgs = json(query, 'buildargs', maybeTexts)
  const labels = json(query, 'labels', texts)
  const cacheFrom = json(query, 'cachefrom', lists)
  const limits = json(query, 'ulimits', ulimits)
  const [dockerfile, target, platform] = ['dockerfile', 'target', 'platform'].map((name) =>
    query.string(name),
  )
  const shmSizeBytes = query.int('shmsize')
  const extraHosts = query
    .strings('extrahosts')
    .flatMap((text) => text.split(','))
    .filter(Boolean)
  return {
    tags: query.strings('t').filter(Boolean),
    ...(dockerfile ? { dockerfile } : {}),
    ...(target ? { target } : {}),
    ...(platform ? { platform } : {}),
    ...(buildArgs ? { buildArgs: withValues(buildArgs) } : {}),
    ...(labels ? { labels } : {}),
    ...(cacheFrom?.length ? { cacheFrom: cacheFrom.map(cacheReference) } : {}),
    ...cacheTo(query),
    ...(limits
      ? { ulimits: limits.map(({ Name, Soft, Hard }) => ({ name: Name, soft: Soft, hard: Hard })) }
      : {}),
    ...(shmSizeBytes ? { shmSizeBytes } : {}),
    ...(extraHosts.length > 0 ? { extraHosts } : {}),
    noCache: query.bool('nocache'),
    pull: query.bool('pull'),
    resources: resources(query),
    ...network(query),
  }
}

/** `type=registry,ref=NAME` as clients of BuildKit say it, or a plain name. */
function cacheReference(text: string): string {
  if (!text.includes('=')) return text
  const { type, ref } = attributesOf(text)
  if (type === 'registry' && ref) return ref
  throw refuse(`a cache to read from is an image or type=registry,ref=IMAGE, and not ${JSON.stringify(text)}`)
}

/** An extension of Berth: docker's classic builder writes no cache. */
function cacheTo(query: Query): Pick<BuildRequest, 'cacheTo'> {
  const text = query.string('cacheto')
  if (!text) return {}
  const { type, ref } = attributesOf(text)
  if (type === 'inline') return { cacheTo: { type } }
  if (type === 'registry' && ref) return { cacheTo: { type, reference: ref } }
  throw refuse(`cacheto is type=inline or type=registry,ref=IMAGE, and not ${JSON.stringify(text)}`)
}

const attributesOf = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    text.split(',').map((part) => {
      const at = part.indexOf('=')
      return at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)]
    }),
  )

const withValues = (args: Readonly<Record<string, string | null>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(args).flatMap(([name, value]) => (value === null ? [] : [[name, value]])))

function refuseWhatIsNot(query: Query): void {
  const unsupported = (why: string) => fault.unimplemented('build.unsupported', why)
  if (query.bool('squash')) throw unsupported('squash is not supported: use a stage and COPY --from')
}

/** Of all steps together. */
function resources(query: Query): NonNullable<BuildRequest['resources']> {
  const [memoryBytes, cpuShares] = [query.int('memory'), query.int('cpushares')]
  const [quota, period] = [query.int('cpuquota'), query.int('cpuperiod')]
  return {
    ...(memoryBytes ? { memoryBytes } : {}),
    ...(cpuShares ? { cpuShares } : {}),
    ...(quota && quota > 0 ? { cpuNanos: Math.round((quota / (period || 100_000)) * 1e9) } : {}),
  }
}

/** Whoever may use the socket may use the host's network: it is asked for by name. */
function network(query: Query): Pick<BuildRequest, 'network' | 'entitlements'> {
  const mode = query.string('networkmode')
  if (mode === undefined || mode === 'default' || mode === 'bridge') return {}
  if (mode === 'none') return { network: 'none' }
  if (mode === 'host') return { network: 'host', entitlements: ['network.host'] }
  throw refuse(
    `network mode ${JSON.stringify(mode.slice(0, 100))} is not one of default, bridge, none and host`,
  )
}
