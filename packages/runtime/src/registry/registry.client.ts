import type { Readable } from 'node:stream'
import { backoffMs, type Digest, Fault, fault, systemClock } from '@berth/core'
import type { RegistryAccess } from '../api.js'
import { MANIFEST_ACCEPT, MANIFEST_MAX_BYTES } from '../images/manifest.js'
import { isRealmAllowed, parseChallenge } from './challenge.js'
import { registryEndpoint } from './endpoint.js'
import { HttpClient, type HttpRequest, type HttpResponse, readBody } from './http.client.js'

export interface Credentials {
  readonly username: string
  readonly password: string
}

const RETRY = { initialMs: 200, maxMs: 5_000 }
const TRIES = 5
const REDIRECTS_MAX = 5

/** One registry host as the OCI distribution spec describes it. Transient failures are tried five times with jitter. */
export class RegistryClient {
  private readonly base: URL
  private readonly http: HttpClient
  /** scope → Authorization header. */
  private readonly authorizations = new Map<string, string>()

  constructor(
    private readonly host: string,
    private readonly access: RegistryAccess | undefined,
    private readonly credentials: Credentials | undefined,
  ) {
    this.base = registryEndpoint(host, access)
    this.http = new HttpClient(access)
  }

  /** @throws image.not_found, registry.unauthorized, registry.unreachable */
  async getManifest(
    repository: string,
    tagOrDigest: string,
    signal?: AbortSignal,
  ): Promise<{ bytes: Buffer; contentType: string | undefined }> {
    return this.retrying(signal, async () => {
      const response = await this.call(repository, 'pull', {
        method: 'GET',
        url: this.url(`${repository}/manifests/${tagOrDigest}`),
        headers: { accept: MANIFEST_ACCEPT },
        ...withSignal(signal),
      })
      if (response.status !== 200) throw await this.failure(response, `${repository}:${tagOrDigest}`)
      return {
        bytes: await readBody(response, MANIFEST_MAX_BYTES),
        contentType: response.headers['content-type'],
      }
    })
  }

  /** A blob's bytes; an interrupted transfer is resumed where it stopped, as long as each try brings more or fewer than five in a row do not. */
  async *getBlob(
    repository: string,
    digest: Digest,
    sizeBytes: number,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    let offset = 0
    let failures = 0
    for (;;) {
      const before = offset
      try {
        for await (const chunk of await this.openBlob(repository, digest, offset, signal)) {
          offset += (chunk as Buffer).length
          yield chunk as Buffer
        }
        if (offset >= sizeBytes) return
        throw fault.unavailable(
          'registry.unreachable',
          `registry ${this.host} ended blob ${digest} after ${offset} of ${sizeBytes} bytes`,
        )
      } catch (error) {
        const failure =
          error instanceof Fault
            ? error
            : fault.unavailable(
                'registry.unreachable',
                `blob ${digest} from ${this.host} broke off: ${String(error)}`,
                { cause: error },
              )
        failures = offset > before ? 1 : failures + 1
        if (!failure.retryable || failures >= TRIES || signal?.aborted) throw failure
        await this.pause(failures - 1, failure, signal)
      }
    }
  }

  private async openBlob(
    repository: string,
    digest: Digest,
    offset: number,
    signal: AbortSignal | undefined,
  ): Promise<AsyncIterable<unknown>> {
    const headers: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {}
    const response = await this.call(repository, 'pull', {
      method: 'GET',
      url: this.url(`${repository}/blobs/${digest}`),
      headers,
      ...withSignal(signal),
    })
    if (offset > 0 && response.status === 200) return skip(response.body, offset)
    if (response.status === 200 || response.status === 206) return response.body
    throw await this.failure(response, `${repository}@${digest}`)
  }

  async hasBlob(repository: string, digest: Digest, signal?: AbortSignal): Promise<boolean> {
    const response = await this.call(repository, 'pull,push', {
      method: 'HEAD',
      url: this.url(`${repository}/blobs/${digest}`),
      ...withSignal(signal),
    })
    response.body.resume()
    return response.status === 200
  }

  /** POST then PUT, the body in one piece. Idempotent. */
  async putBlob(
    repository: string,
    digest: Digest,
    sizeBytes: number,
    open: () => Readable,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.retrying(signal, async () => {
      const begun = await this.call(repository, 'pull,push', {
        method: 'POST',
        url: this.url(`${repository}/blobs/uploads/`),
        headers: { 'content-length': '0' },
        ...withSignal(signal),
      })
      if (begun.status !== 202 || !begun.headers.location) throw await this.failure(begun, repository)
      begun.body.resume()
      const url = new URL(begun.headers.location, this.base)
      url.searchParams.set('digest', digest)
      const headers = { 'content-type': 'application/octet-stream', 'content-length': String(sizeBytes) }
      const done = await this.call(repository, 'pull,push', {
        method: 'PUT',
        url,
        headers,
        body: open(),
        ...withSignal(signal),
      })
      if (done.status !== 201) throw await this.failure(done, `${repository}@${digest}`)
      done.body.resume()
    })
  }

  async putManifest(
    repository: string,
    tagOrDigest: string,
    bytes: Uint8Array,
    mediaType: string,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.retrying(signal, async () => {
      const headers = { 'content-type': mediaType, 'content-length': String(bytes.length) }
      const response = await this.call(repository, 'pull,push', {
        method: 'PUT',
        url: this.url(`${repository}/manifests/${tagOrDigest}`),
        headers,
        body: bytes,
        ...withSignal(signal),
      })
      if (response.status !== 201) throw await this.failure(response, `${repository}:${tagOrDigest}`)
      response.body.resume()
    })
  }

  close(): void {
    this.http.close()
  }

  private url(path: string): URL {
    return new URL(`/v2/${path}`, this.base)
  }

  /** Sends with what authorization is known; answers one challenge; follows redirects without carrying it to another host. */
  private async call(repository: string, actions: string, request: HttpRequest): Promise<HttpResponse> {
    const scope = `repository:${repository}:${actions}`
    const known = this.authorizations.get(scope)
    const first = await this.follow({
      ...request,
      headers: { ...request.headers, ...(known ? { authorization: known } : {}) },
    })
    if (first.status !== 401 || (request.body !== undefined && known !== undefined)) return first
    first.body.resume()
    const authorization = await this.authorize(first, scope, request.signal)
    this.authorizations.set(scope, authorization)
    return this.follow({ ...request, headers: { ...request.headers, authorization } })
  }

  private async follow(request: HttpRequest): Promise<HttpResponse> {
    let current = request
    for (let hop = 0; hop <= REDIRECTS_MAX; hop++) {
      const response = await this.http.send(current)
      const { location } = response.headers
      if (![301, 302, 303, 307, 308].includes(response.status) || !location || request.method !== 'GET')
        return response
      response.body.resume()
      const url = new URL(location, current.url)
      if (current.url.protocol === 'https:' && url.protocol !== 'https:')
        throw fault.permissionDenied(
          'registry.redirect_refused',
          `registry ${this.host} redirects from https to ${url.protocol}`,
        )
      const headers = { ...current.headers }
      if (url.host !== current.url.host) delete headers.authorization
      current = { ...current, url, headers }
    }
    throw fault.unavailable(
      'registry.redirects',
      `registry ${this.host} redirects more than ${REDIRECTS_MAX} times`,
      { retryable: false },
    )
  }

  private async authorize(
    response: HttpResponse,
    scope: string,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const challenge = parseChallenge(response.headers['www-authenticate'])
    if (!challenge) throw this.unauthorized()
    if (challenge.scheme === 'basic') {
      const basic = this.basic()
      if (!basic) throw this.unauthorized()
      return basic
    }
    return `Bearer ${await this.fetchToken(challenge.params, scope, signal)}`
  }

  private async fetchToken(
    params: Readonly<Record<string, string>>,
    scope: string,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const realm = URL.canParse(params.realm ?? '') ? new URL(params.realm ?? '') : undefined
    if (!realm || !isRealmAllowed(realm, this.base))
      throw fault.permissionDenied(
        'registry.realm_refused',
        `registry ${this.host} sends its login to ${params.realm ?? 'nowhere'}, which is not its own`,
      )
    if (params.service) realm.searchParams.set('service', params.service)
    realm.searchParams.set('scope', scope)
    const basic = this.basic()
    const response = await this.http.send({
      method: 'GET',
      url: realm,
      headers: basic ? { authorization: basic } : {},
      ...withSignal(signal),
    })
    if (response.status !== 200) {
      response.body.resume()
      throw response.status >= 500
        ? fault.unavailable(
            'registry.unreachable',
            `the login of registry ${this.host} answers ${response.status}`,
          )
        : this.unauthorized()
    }
    const body = JSON.parse((await readBody(response)).toString()) as {
      token?: unknown
      access_token?: unknown
    }
    const token = body.token ?? body.access_token
    if (typeof token !== 'string') throw this.unauthorized()
    return token
  }

  private basic(): string | undefined {
    const username = this.credentials?.username ?? this.access?.username
    const password = this.credentials?.password ?? this.access?.password
    return username === undefined
      ? undefined
      : `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}`
  }

  private unauthorized(): Fault {
    return fault.unauthenticated(
      'registry.unauthorized',
      `registry ${this.host} refuses the credentials: log in with an account that may use this repository`,
      { params: { host: this.host } },
    )
  }

  private async failure(response: HttpResponse, subject: string): Promise<Fault> {
    const body = await readBody(response, 64 * 1024).catch(() => Buffer.alloc(0))
    const said = body.toString('utf8').replace(/\s+/g, ' ').slice(0, 300)
    if (response.status === 401 || response.status === 403) return this.unauthorized()
    if (response.status === 404)
      return fault.notFound(
        'image.not_found',
        `${this.host}/${subject} does not exist in the registry: check name and tag`,
        { params: { image: `${this.host}/${subject}` } },
      )
    const wait = retryAfter(response.headers['retry-after'])
    if (response.status === 429)
      return fault.unavailable('registry.rate_limited', `registry ${this.host} limits requests`, wait)
    if (response.status >= 500)
      return fault.unavailable(
        'registry.unreachable',
        `registry ${this.host} answers ${response.status} for ${subject}: ${said}`,
        wait,
      )
    return fault.failedPrecondition(
      'registry.refused',
      `registry ${this.host} refuses ${subject} with ${response.status}: ${said}`,
    )
  }

  private async retrying<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        const failure = Fault.from(error)
        if (!failure.retryable || attempt + 1 >= TRIES || signal?.aborted) throw failure
        await this.pause(attempt, failure, signal)
      }
    }
  }

  private pause(attempt: number, failure: Fault, signal: AbortSignal | undefined): Promise<void> {
    const delayMs = Math.min(failure.retryAfterMs ?? backoffMs(RETRY, attempt, Math.random()), 60_000)
    return systemClock.sleep(delayMs, signal)
  }
}

/** The seconds form of Retry-After; a date is left to our own backoff. */
const retryAfter = (header: string | undefined): { retryAfterMs?: number } =>
  /^\d{1,6}$/.test(header ?? '') ? { retryAfterMs: Number(header) * 1000 } : {}

const withSignal = (signal: AbortSignal | undefined) => (signal ? { signal } : {})

async function* skip(source: AsyncIterable<unknown>, count: number): AsyncGenerator<Uint8Array> {
  let left = count
  for await (const chunk of source) {
    const bytes = chunk as Buffer
    if (left >= bytes.length) left -= bytes.length
    else {
      yield bytes.subarray(left)
      left = 0
    }
  }
}
