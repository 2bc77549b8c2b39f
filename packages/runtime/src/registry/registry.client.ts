import type { Readable } from 'node:stream'
import { type Digest, Fault, fault, systemClock } from '@berth/core'
import type { RegistryAccess, RegistryAuth } from '../api.js'
import { MANIFEST_ACCEPT, MANIFEST_MAX_BYTES } from '../images/manifest.js'
import { failureOf } from './answer.client.js'
import { Authorizer } from './authorizer.client.js'
import { registryEndpoint } from './endpoint.js'
import { HttpClient, type HttpRequest, type HttpResponse, readBody } from './http.client.js'
import { PATIENCE, type Patience, retryDelayMs } from './retry.js'

const REDIRECTS_MAX = 5
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** Told before every wait for another try. */
export type OnRetry = (delayMs: number) => void

export interface BlobUpload {
  readonly repository: string
  readonly digest: Digest
  readonly sizeBytes: number
  /** Another repository of this registry that has the blob. */
  readonly mountFrom?: string | undefined
  readonly open: (offset: number) => Readable
  readonly onRetry?: OnRetry | undefined
  readonly signal?: AbortSignal | undefined
}

/** One registry host as the OCI distribution spec describes it. Transient failures are tried five times with jitter. */
export class RegistryClient {
  private readonly base: URL
  private readonly http: HttpClient
  private readonly authorizer: Authorizer

  constructor(
    readonly host: string,
    access: RegistryAccess | undefined,
    auth?: RegistryAuth,
    private readonly patience: Patience = PATIENCE,
  ) {
    this.base = registryEndpoint(host, access)
    this.http = new HttpClient(access, patience.idleTimeoutMs)
    this.authorizer = Authorizer.of(host, this.base, this.http, auth, access)
  }

  /** @throws image.not_found, registry.unauthorized, registry.unreachable */
  async getManifest(
    repository: string,
    tagOrDigest: string,
    signal?: AbortSignal,
  ): Promise<{ bytes: Buffer; contentType: string | undefined }> {
    return this.retrying(signal, undefined, async () => {
      const response = await this.call(pullScope(repository), {
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

  /**
   * A blob's bytes from `offset` on; an interrupted transfer is resumed where it stopped, until five tries in a row brought nothing.
   * @throws image.not_found, registry.unreachable, registry.rate_limited
   */
  async *getBlob(
    repository: string,
    { digest, sizeBytes, offset: start = 0 }: { digest: Digest; sizeBytes: number; offset?: number },
    signal?: AbortSignal,
    onRetry?: OnRetry,
  ): AsyncGenerator<Uint8Array> {
    let offset = start
    let failures = 0
    for (;;) {
      const before = offset
      try {
        const body = await this.openBlob(repository, digest, offset, signal)
        for await (const chunk of this.http.progressing(body, this.patience.progressMinBytes)) {
          offset += chunk.length
          yield chunk
        }
        if (offset >= sizeBytes) return
        throw this.brokeOff(digest, `it ended after ${offset} of ${sizeBytes} bytes`)
      } catch (error) {
        const failure = error instanceof Fault ? error : this.brokeOff(digest, String(error), error)
        failures = offset > before ? 1 : failures + 1
        if (!failure.retryable || failures >= this.patience.tries) throw failure
        await this.pause(failures - 1, failure, signal, onRetry)
      }
    }
  }

  private brokeOff(digest: Digest, why: string, cause?: unknown): Fault {
    return fault.unavailable('registry.unreachable', `blob ${digest} from ${this.host} broke off: ${why}`, {
      cause,
    })
  }

  private async openBlob(
    repository: string,
    digest: Digest,
    offset: number,
    signal: AbortSignal | undefined,
  ): Promise<AsyncIterable<Buffer>> {
    const headers: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {}
    const response = await this.call(pullScope(repository), {
      method: 'GET',
      url: this.url(`${repository}/blobs/${digest}`),
      headers,
      ...withSignal(signal),
    })
    if (offset > 0 && response.status === 206) {
      const at = /^bytes (\d+)-/.exec(response.headers['content-range'] ?? '')?.[1]
      if (at === undefined || Number(at) === offset) return response.body
      response.body.destroy()
      throw this.brokeOff(digest, `bytes from ${offset} were asked for and came from ${at}`)
    }
    if (offset > 0 && response.status === 200) return skip(response.body, offset)
    if (response.status === 200) return response.body
    throw await this.failure(response, `${repository}@${digest}`)
  }

  async hasBlob(repository: string, digest: Digest, signal?: AbortSignal): Promise<boolean> {
    return this.retrying(signal, undefined, async () => {
      const response = await this.call(pushScope(repository), {
        method: 'HEAD',
        url: this.url(`${repository}/blobs/${digest}`),
        ...withSignal(signal),
      })
      response.body.resume()
      if (response.status === 200) return true
      if (response.status === 404) return false
      throw await this.failure(response, `${repository}@${digest}`)
    })
  }

  /** Mounts the blob from another repository or sends it in one piece; what arrived of a broken-off upload is not sent again. Idempotent. */
  async putBlob(upload: BlobUpload): Promise<'sent' | 'mounted'> {
    let session: URL | undefined
    return this.retrying(upload.signal, upload.onRetry, async () => {
      const arrived = session ? await this.arrivedBytes(upload, session) : undefined
      if (session && arrived) {
        session = await this.patchRest(upload, arrived.session, arrived.bytes)
        await this.finishUpload(upload, session)
        return 'sent'
      }
      session = await this.beginUpload(upload)
      if (!session) return 'mounted'
      await this.finishUpload(upload, session, () => upload.open(0))
      return 'sent'
    })
  }

  /** Where to send the blob; undefined when the registry mounted it. */
  private async beginUpload(upload: BlobUpload): Promise<URL | undefined> {
    const { repository, digest, mountFrom, signal } = upload
    const url = this.url(`${repository}/blobs/uploads/`)
    if (mountFrom && mountFrom !== repository) {
      url.searchParams.set('mount', digest)
      url.searchParams.set('from', mountFrom)
      const mounted = await this.post(`${pushScope(repository)} ${pullScope(mountFrom)}`, url, signal)
      if (mounted.status === 201) return undefined
      if (mounted.status === 202) return this.locationOf(mounted)
      url.search = ''
    }
    const begun = await this.post(pushScope(repository), url, signal)
    if (begun.status === 202) return this.locationOf(begun)
    throw await this.failure(begun, repository)
  }

  private async post(scope: string, url: URL, signal: AbortSignal | undefined): Promise<HttpResponse> {
    const headers = { 'content-length': '0' }
    const response = await this.call(scope, { method: 'POST', url, headers, ...withSignal(signal) })
    if (response.status < 300) response.body.resume()
    return response
  }

  private locationOf(response: HttpResponse): URL {
    const location = response.headers.location ?? ''
    if (!URL.canParse(location, this.base.href))
      throw fault.unavailable(
        'registry.unreachable',
        `registry ${this.host} began an upload without a place for it`,
      )
    return new URL(location, this.base)
  }

  private async finishUpload(upload: BlobUpload, session: URL, open?: () => Readable): Promise<void> {
    const { repository, digest, sizeBytes, signal } = upload
    const url = new URL(session)
    url.searchParams.set('digest', digest)
    const done = await this.call(pushScope(repository), {
      method: 'PUT',
      url,
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(open ? sizeBytes : 0) },
      ...(open ? { body: open() } : {}),
      ...withSignal(signal),
    })
    if (done.status !== 201) throw await this.failure(done, `${repository}@${digest}`)
    done.body.resume()
  }

  /** Undefined when the registry has forgotten the upload, or got nothing of it. */
  private async arrivedBytes(
    { repository, sizeBytes, signal }: BlobUpload,
    url: URL,
  ): Promise<{ bytes: number; session: URL } | undefined> {
    const response = await this.call(pushScope(repository), { method: 'GET', url, ...withSignal(signal) })
    response.body.resume()
    const last = /^(?:bytes=)?0-(\d{1,15})$/.exec(response.headers.range ?? '')?.[1]
    if (response.status !== 204 || last === undefined) return undefined
    const bytes = Number(last) + 1
    if (bytes <= 1 || bytes > sizeBytes) return undefined
    return { bytes, session: response.headers.location ? this.locationOf(response) : url }
  }

  private async patchRest(upload: BlobUpload, session: URL, offset: number): Promise<URL> {
    if (offset === upload.sizeBytes) return session
    const response = await this.call(pushScope(upload.repository), {
      method: 'PATCH',
      url: session,
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': String(upload.sizeBytes - offset),
        'content-range': `${offset}-${upload.sizeBytes - 1}`,
      },
      body: upload.open(offset),
      ...withSignal(upload.signal),
    })
    if (response.status !== 202) throw await this.failure(response, upload.repository)
    response.body.resume()
    return this.locationOf(response)
  }

  async putManifest(
    repository: string,
    tagOrDigest: string,
    bytes: Uint8Array,
    mediaType: string,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.retrying(signal, undefined, async () => {
      const headers = { 'content-type': mediaType, 'content-length': String(bytes.length) }
      const response = await this.call(pushScope(repository), {
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

  /** Whether the registry lets these credentials in. @throws registry.unauthorized, registry.unreachable */
  async ping(signal?: AbortSignal): Promise<void> {
    await this.retrying(signal, undefined, async () => {
      const response = await this.call('', {
        method: 'GET',
        url: new URL('/v2/', this.base),
        ...withSignal(signal),
      })
      if (response.status !== 200) throw await this.failure(response, 'its API')
      response.body.resume()
    })
  }

  /** Any other answer of this host, as bytes. @throws as `ping`; undefined for 404 */
  async getPath(path: string, signal?: AbortSignal, scope = ''): Promise<Buffer | undefined> {
    return this.retrying(signal, undefined, async () => {
      const response = await this.call(scope, {
        method: 'GET',
        url: new URL(path, this.base),
        ...withSignal(signal),
      })
      if (response.status === 200) return readBody(response)
      const failure = await this.failure(response, path)
      if (Fault.is(failure, 'image.not_found')) return undefined
      throw failure
    })
  }

  close(): void {
    this.http.close()
  }

  private url(path: string): URL {
    return new URL(`/v2/${path}`, this.base)
  }

  /**
   * Sends with what authorization is known; answers one challenge; follows redirects without carrying it to another host. An upload's place may
   * be on another host too: that one gets no credentials of this one.
   */
  private async call(scope: string, request: HttpRequest): Promise<HttpResponse> {
    if (request.url.host !== this.base.host) return this.follow(request)
    const known = this.authorizer.headerFor(scope)
    const first = await this.follow({
      ...request,
      headers: { ...request.headers, ...(known ? { authorization: known } : {}) },
    })
    const isStream = request.body !== undefined && typeof request.body === 'object' && 'pipe' in request.body
    if (first.status !== 401 || isStream) return first
    first.body.resume()
    const authorization = await this.authorizer.answer(first, scope, request.signal)
    return this.follow({ ...request, headers: { ...request.headers, authorization } })
  }

  private async follow(request: HttpRequest): Promise<HttpResponse> {
    let current = request
    for (let hop = 0; hop <= REDIRECTS_MAX; hop++) {
      const response = await this.http.send(current)
      const { location } = response.headers
      const isFollowed = request.method === 'GET' || request.method === 'HEAD'
      if (!REDIRECTS.has(response.status) || !location || !isFollowed) return response
      response.body.resume()
      current = { ...current, ...this.redirected(current, location) }
    }
    throw fault.unavailable(
      'registry.redirects',
      `registry ${this.host} redirects more than ${REDIRECTS_MAX} times`,
      { retryable: false },
    )
  }

  private redirected(from: HttpRequest, location: string): Pick<HttpRequest, 'url' | 'headers'> {
    const url = URL.canParse(location, from.url.href) ? new URL(location, from.url) : undefined
    const isWeaker = from.url.protocol === 'https:' && url?.protocol !== 'https:'
    if (!url || isWeaker || !/^https?:$/.test(url.protocol))
      throw fault.permissionDenied(
        'registry.redirect_refused',
        `registry ${this.host} redirects from ${from.url.protocol} to ${url?.protocol ?? 'nowhere'}`,
      )
    const headers = { ...from.headers }
    if (url.host !== from.url.host) delete headers.authorization
    return { url, headers }
  }

  private async failure(response: HttpResponse, subject: string): Promise<Fault> {
    const failure = await failureOf(this.host, response, subject, systemClock.nowMs())
    return failure === 'unauthorized' ? this.authorizer.refused() : failure
  }

  private async retrying<T>(
    signal: AbortSignal | undefined,
    onRetry: OnRetry | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        const failure = Fault.from(error)
        if (!failure.retryable || attempt + 1 >= this.patience.tries) throw failure
        await this.pause(attempt, failure, signal, onRetry)
      }
    }
  }

  private async pause(
    attempt: number,
    failure: Fault,
    signal: AbortSignal | undefined,
    onRetry: OnRetry | undefined,
  ): Promise<void> {
    const delayMs = retryDelayMs(this.patience, attempt, failure, Math.random())
    onRetry?.(delayMs)
    await systemClock.sleep(delayMs, signal).catch((cause: unknown) => {
      throw fault.cancelled('cancelled', 'the transfer was cancelled', { cause })
    })
  }
}

export const pullScope = (repository: string): string => `repository:${repository}:pull`
const pushScope = (repository: string): string => `repository:${repository}:pull,push`
const withSignal = (signal: AbortSignal | undefined) => (signal ? { signal } : {})

async function* skip(source: AsyncIterable<Buffer>, count: number): AsyncGenerator<Buffer> {
  let left = count
  for await (const bytes of source) {
    if (left >= bytes.length) left -= bytes.length
    else {
      yield bytes.subarray(left)
      left = 0
    }
  }
}
