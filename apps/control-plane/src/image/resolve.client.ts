import { createHash } from 'node:crypto'
import { fault } from '@berth/core'
import type { RegistryStore } from '../store/registry.store.js'
import { BUILT_IN, parseImageName } from './reference.js'

const ACCEPT =
  'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json'
const DEADLINE_MS = 10_000

export interface ResolveDeps {
  readonly registry: RegistryStore
  /** host:port pairs that are this control plane's own registry. */
  readonly ownHosts: readonly string[]
}

/** A tag as the digest it names right now, so that every replica of a release runs the same bytes. @throws image.not_found, registry.unreachable, image.reference_invalid */
export async function resolveImage(deps: ResolveDeps, image: string): Promise<string> {
  const name = parseImageName(image)
  const isOwn = name.host === BUILT_IN || (name.host !== undefined && deps.ownHosts.includes(name.host))
  if (isOwn || name.host === undefined) {
    const digest = await deps.registry.resolve(name.repository, name.digest ?? name.tag)
    if (digest) return `${BUILT_IN}/${name.repository}@${digest}`
    if (isOwn) throw notFound(image)
  }
  const host = name.host ?? 'docker.io'
  const repository =
    name.host === undefined && !name.repository.includes('/') ? `library/${name.repository}` : name.repository
  return `${host}/${repository}@${name.digest ?? (await fetchDigest(host, repository, name.tag, image))}`
}

const notFound = (image: string) =>
  fault.notFound('image.not_found', `image ${image} does not exist: push it first or check name and tag`, {
    params: { image },
  })

async function fetchDigest(host: string, repository: string, tag: string, image: string): Promise<string> {
  const base = host === 'docker.io' ? 'https://registry-1.docker.io' : `https://${host}`
  const url = `${base}/v2/${repository}/manifests/${tag}`
  const first = await request(url, host, {})
  const response = first.status === 401 ? await request(url, host, await bearer(first, host)) : first
  if (response.status === 404 || response.status === 401 || response.status === 403) throw notFound(image)
  if (!response.ok) throw unreachable(host, `it answers ${response.status}`)
  const body = Buffer.from(await response.arrayBuffer())
  return (
    response.headers.get('docker-content-digest') ??
    `sha256:${createHash('sha256').update(body).digest('hex')}`
  )
}

async function request(url: string, host: string, headers: Record<string, string>): Promise<Response> {
  return fetch(url, {
    headers: { accept: ACCEPT, ...headers },
    signal: AbortSignal.timeout(DEADLINE_MS),
  }).catch((cause) => {
    throw unreachable(host, cause instanceof Error ? cause.message : String(cause))
  })
}

/** Anonymous pull token; the realm must be https and on the registry's own domain (CVE-2026-33540). */
async function bearer(response: Response, host: string): Promise<Record<string, string>> {
  const header = response.headers.get('www-authenticate') ?? ''
  const param = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(header)?.[1] ?? ''
  const realm = URL.canParse(param('realm')) ? new URL(param('realm')) : undefined
  const domain = host.split(':')[0]?.split('.').slice(-2).join('.') ?? ''
  if (realm?.protocol !== 'https:' || !(realm.hostname === domain || realm.hostname.endsWith(`.${domain}`)))
    return {}
  realm.searchParams.set('service', param('service'))
  realm.searchParams.set('scope', param('scope'))
  const answer = await request(realm.href, host, {})
  const { token, access_token } = (answer.ok ? await answer.json() : {}) as {
    token?: string
    access_token?: string
  }
  return token || access_token ? { authorization: `Bearer ${token ?? access_token}` } : {}
}

const unreachable = (host: string, why: string) =>
  fault.unavailable(
    'registry.unreachable',
    `registry ${host} cannot be reached (${why}): check the name, or push the image to the built-in registry`,
    { retryable: true, params: { host } },
  )
