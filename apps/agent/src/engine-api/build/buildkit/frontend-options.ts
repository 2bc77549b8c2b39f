import { fault } from '@berth/core'
import type { BuildRequest } from '@berth/runtime'
import type { BuildSettings } from '../build-query.js'

type Attributes = Readonly<Record<string, string>>

export interface CacheEntry {
  readonly type: string
  readonly attrs: Attributes
}

const refuse = (why: string) => fault.invalidArgument('build.query_invalid', why)
const unsupported = (why: string) => fault.unimplemented('build.unsupported', why)

/** `dockerfile.v0`'s options, as buildx gives them. @throws build.query_invalid, build.unsupported */
export function settingsOf(options: Attributes): Omit<BuildSettings, 'tags'> {
  refuseWhatIsNot(options)
  const { filename, target, platform } = options
  const buildArgs = withPrefix(options, 'build-arg:')
  const labels = withPrefix(options, 'label:')
  const cacheFrom = cacheReferences(options['cache-from'], options['cache-imports'])
  const extraHosts = listOf(options['add-hosts']).map((text) => text.replace('=', ':'))
  const shmSizeBytes = options['shm-size'] ? wholeOf('shm-size', options['shm-size']) : undefined
  const ulimits = listOf(options.ulimit).map(ulimitOf)
  return {
    ...(filename ? { dockerfile: filename } : {}),
    ...(target ? { target } : {}),
    ...(platform ? { platform } : {}),
    ...(Object.keys(buildArgs).length > 0 ? { buildArgs } : {}),
    ...(Object.keys(labels).length > 0 ? { labels } : {}),
    ...(cacheFrom.length > 0 ? { cacheFrom } : {}),
    ...(extraHosts.length > 0 ? { extraHosts } : {}),
    ...(shmSizeBytes ? { shmSizeBytes } : {}),
    ...(ulimits.length > 0 ? { ulimits } : {}),
    // Present and empty is all stages; names of stages are taken for all too, which only makes more anew.
    noCache: options['no-cache'] !== undefined,
    pull: options['image-resolve-mode'] === 'pull',
    ...networkOf(options['force-network-mode']),
    ...namedContexts(options),
  }
}

/** Tags among an exporter's attributes. */
export const tagsOf = (attributes: Attributes): readonly string[] => listOf(attributes.name)

/** @throws build.unsupported: more than one, or another kind than those two */
export function cacheTargetOf(entries: readonly CacheEntry[]): Pick<BuildRequest, 'cacheTo'> {
  const [entry, ...more] = entries
  if (!entry) return {}
  if (more.length > 0) throw unsupported('a build writes one cache')
  const { type, attrs } = entry
  if (type === 'inline') return { cacheTo: { type } }
  if (type === 'registry' && attrs.ref) return { cacheTo: { type, reference: attrs.ref } }
  throw unsupported(`a cache goes to type=inline or type=registry,ref=IMAGE, and not to type=${type}`)
}

/** @throws build.unsupported */
export const cacheSourcesOf = (entries: readonly CacheEntry[]): readonly string[] =>
  entries.map(({ type, attrs }) => {
    if (type === 'registry' && attrs.ref) return attrs.ref
    throw unsupported(`a cache comes from type=registry,ref=IMAGE, and not from type=${type}`)
  })

function refuseWhatIsNot(options: Attributes): void {
  if (options.platform?.includes(',')) throw unsupported('one build is for one platform: name one')
  const attestation = Object.keys(options).find(
    (key) => key.startsWith('attest:') && options[key] !== 'disabled=true',
  )
  // buildx asks for provenance by itself; what this engine keeps of a build is read from it.
  if (attestation && !/^attest:provenance$/.test(attestation))
    throw unsupported(`${attestation} is not supported: build without it`)
}

function withPrefix(options: Attributes, prefix: string): Record<string, string> {
  const own = Object.entries(options).filter(([key]) => key.startsWith(prefix))
  return Object.fromEntries(own.map(([key, value]) => [key.slice(prefix.length), value]))
}

const listOf = (text: string | undefined): readonly string[] =>
  (text ?? '').split(',').flatMap((part) => (part.trim() === '' ? [] : [part.trim()]))

function cacheReferences(plain: string | undefined, json: string | undefined): readonly string[] {
  if (!json) return listOf(plain)
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw refuse('cache-imports is not JSON')
  }
  if (!Array.isArray(value)) throw refuse('cache-imports is not a list')
  return cacheSourcesOf(
    value.map((entry: { readonly Type?: unknown; readonly Attrs?: unknown } | null) => ({
      type: String(entry?.Type ?? ''),
      attrs: (entry?.Attrs ?? {}) as Attributes,
    })),
  )
}

function wholeOf(name: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw refuse(`${name} ${JSON.stringify(text.slice(0, 100))} is not a whole number`)
}

function ulimitOf(text: string): NonNullable<BuildRequest['ulimits']>[number] {
  const [, name, soft, hard] = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text) ?? []
  if (name === undefined || soft === undefined)
    throw refuse(`invalid ulimit ${JSON.stringify(text.slice(0, 100))}`)
  return { name, soft: Number(soft), hard: Number(hard ?? soft) }
}

/** Whoever may use the socket may use the host's network: it is asked for by name. */
function networkOf(mode: string | undefined): Pick<BuildRequest, 'network' | 'entitlements'> {
  if (!mode || mode === 'default' || mode === 'sandbox') return {}
  if (mode === 'none') return { network: 'none' }
  if (mode === 'host') return { network: 'host', entitlements: ['network.host'] }
  throw refuse(`network mode ${JSON.stringify(mode.slice(0, 100))} is not one of default, none and host`)
}

function namedContexts(options: Attributes): Pick<BuildRequest, 'namedContexts'> {
  const found = withPrefix(options, 'context:')
  const other = Object.entries(found).find(([, where]) => !where.startsWith('docker-image://'))
  if (other)
    throw unsupported(
      `the context ${other[0]} is ${other[1]}: named contexts are docker-image://REFERENCE here`,
    )
  return Object.keys(found).length > 0 ? { namedContexts: found } : {}
}
