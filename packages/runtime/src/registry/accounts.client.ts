import { fault } from '@berth/core'
import type { RegistryAccess, RegistryAuth, SearchResult } from '../api.js'
import { isObject, parseJson } from '../images/json.js'
import { DEFAULT_HOST, parseReference } from '../images/reference.js'
import { pullScope, RegistryClient } from './registry.client.js'

type AccessOf = (host: string) => RegistryAccess | undefined

/** @throws registry.unauthorized, registry.unreachable */
export async function loginToRegistry(
  access: AccessOf,
  auth: RegistryAuth & { readonly host: string },
): Promise<void> {
  const host = registryHost(auth.host)
  const client = new RegistryClient(host, access(host), auth)
  try {
    await client.ping()
  } finally {
    client.close()
  }
}

/** Clients call docker's own registry by the address of its old index. */
function registryHost(text: string): string {
  const host = text.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  return host === '' || host === 'index.docker.io' || host === 'registry-1.docker.io' ? DEFAULT_HOST : host
}

const SEARCH_MAX = 100
const SEARCH_HOST = 'index.docker.io'
const DESCRIPTION_MAX = 1_000

/** `term`, or `HOST/term`. @throws registry.search_unsupported, registry.unreachable */
export async function searchRegistry(
  access: AccessOf,
  term: string,
  options: { readonly limit?: number; readonly auth?: RegistryAuth; readonly signal?: AbortSignal },
): Promise<readonly SearchResult[]> {
  const { host, query } = splitTerm(term)
  const settings = access(host)
  const isHub = host === DEFAULT_HOST && settings?.endpoint === undefined
  const client = new RegistryClient(isHub ? SEARCH_HOST : host, settings, options.auth)
  const limit = Math.min(options.limit ?? 25, SEARCH_MAX)
  try {
    const path = `/v1/search?q=${encodeURIComponent(query)}&n=${limit}`
    const bytes = await client.getPath(path, options.signal)
    if (!bytes) throw unsupported(host)
    return resultsOf(bytes, host).slice(0, limit)
  } finally {
    client.close()
  }
}

const unsupported = (host: string) =>
  fault.unimplemented('registry.search_unsupported', `registry ${host} has no search`, { params: { host } })

function splitTerm(term: string): { host: string; query: string } {
  const slash = term.indexOf('/')
  const first = term.slice(0, Math.max(0, slash))
  const isHost = first.includes('.') || first.includes(':') || first === 'localhost'
  if (!isHost) return { host: DEFAULT_HOST, query: term }
  const { host } = parseReference(`${first}/x`)
  return { host, query: term.slice(slash + 1) }
}

function resultsOf(bytes: Buffer, host: string): readonly SearchResult[] {
  const { results } = parseJson(bytes, () => unsupported(host))
  if (!Array.isArray(results)) throw unsupported(host)
  return results.filter(isObject).map((entry) => ({
    name: typeof entry.name === 'string' ? entry.name : '',
    description: typeof entry.description === 'string' ? entry.description.slice(0, DESCRIPTION_MAX) : '',
    stars: typeof entry.star_count === 'number' ? entry.star_count : 0,
    isOfficial: entry.is_official === true,
  }))
}

const TAGS_MAX = 10_000

/** What a registry lists as tags of a repository; names that are none are left out. */
export async function listTags(
  access: AccessOf,
  repository: string,
  options: { readonly auth?: RegistryAuth; readonly signal?: AbortSignal },
): Promise<readonly string[]> {
  const reference = parseReference(repository)
  const client = new RegistryClient(reference.host, access(reference.host), options.auth)
  try {
    const path = `/v2/${reference.repository}/tags/list?n=${TAGS_MAX}`
    const bytes = await client.getPath(path, options.signal, pullScope(reference.repository))
    if (bytes) return tagsIn(bytes, reference.host)
    throw fault.notFound('image.not_found', `${repository} does not exist in the registry`)
  } finally {
    client.close()
  }
}

const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/

function tagsIn(bytes: Buffer, host: string): readonly string[] {
  const { tags } = parseJson(bytes, () =>
    fault.unavailable('registry.unreachable', `registry ${host} gave a list of tags that is none`),
  )
  return Array.isArray(tags)
    ? tags.filter((tag): tag is string => typeof tag === 'string' && TAG.test(tag))
    : []
}
