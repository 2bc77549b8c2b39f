import { createHash } from 'node:crypto'
import { createWriteStream, utimesSync } from 'node:fs'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Digest, type Fault, fault } from '@berth/core'
import { diskFull } from '../../host/disk.js'
import { type Resolved, resolveGuarded } from './guarded-lookup.client.js'

const REDIRECTS_MAX = 10
const IDLE_TIMEOUT_MS = 60_000
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/**
 * Gets a URL into a new file, mode 0600, with the time the server gives it (else the epoch's beginning).
 * @throws build.source_unreachable, build.source_refused, host.disk_full, the signal's reason
 */
export async function downloadFile(url: string, path: string, signal: AbortSignal): Promise<Digest> {
  const body = await openUrl(new URL(url), signal)
  const hash = createHash('sha256')
  const count = new Transform({
    transform(chunk: Buffer, _, next) {
      hash.update(chunk)
      next(null, chunk)
    },
  })
  try {
    await pipeline(body, count, createWriteStream(path, { mode: 0o600, flags: 'wx' }), { signal })
  } catch (error) {
    signal.throwIfAborted()
    throw diskFull(error, path) ?? unreachable(url, error instanceof Error ? error.message : String(error))
  }
  const modified = Date.parse(String(body.headers['last-modified'] ?? '')) || 0
  utimesSync(path, modified / 1000, modified / 1000)
  return `sha256:${hash.digest('hex')}` as Digest
}

/** Follows redirects, each of which is guarded as the first address was. */
async function openUrl(start: URL, signal: AbortSignal): Promise<IncomingMessage> {
  let url = start
  let publicOnly = false
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects++) {
    if (!/^https?:$/.test(url.protocol)) throw unreachable(start.href, `it leads to ${url.protocol}//…`)
    const addresses = await resolveGuarded(url.hostname, { publicOnly })
    publicOnly ||= addresses.every(({ isPrivate }) => !isPrivate)
    const answer = await ask(url, addresses, signal).catch((error: unknown) => {
      signal.throwIfAborted()
      throw unreachable(start.href, error instanceof Error ? error.message : String(error))
    })
    const { statusCode = 0, headers } = answer
    if (statusCode >= 200 && statusCode < 300) return answer
    answer.destroy()
    if (!REDIRECTS.has(statusCode) || !headers.location)
      throw unreachable(start.href, `status ${statusCode} ${answer.statusMessage ?? ''}`.trim())
    url = new URL(headers.location, url)
  }
  throw unreachable(start.href, `more than ${REDIRECTS_MAX} redirects`)
}

/** Over one of these addresses and no other. */
function ask(url: URL, addresses: readonly Resolved[], signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest
  const found = addresses.map(({ address, family }) => ({ address, family }))
  const request = send(url, {
    headers: { 'user-agent': 'berth', 'accept-encoding': 'identity' },
    agent: false,
    signal,
    timeout: IDLE_TIMEOUT_MS,
    lookup: (_, options, callback) => {
      const [first] = found
      if (options.all) callback(null, found)
      else callback(null, first?.address ?? '', first?.family)
    },
  })
  request.on('timeout', () => request.destroy(new Error(`nothing arrived for ${IDLE_TIMEOUT_MS / 1000} s`)))
  request.on('error', reject)
  request.on('response', resolve)
  request.end()
  return promise
}

const unreachable = (url: string, why: string): Fault =>
  fault.unavailable('build.source_unreachable', `failed to GET ${withoutSecrets(url)}: ${why}`, {
    params: { url: withoutSecrets(url) },
  })

/** A URL as it may be shown: user and password are left out. */
export function withoutSecrets(url: string): string {
  try {
    const parsed = new URL(url)
    parsed.username = ''
    parsed.password = ''
    return parsed.href
  } catch {
    return url
  }
}
