import { createHash, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Digest, digestOf } from '@berth/core'

/** What the registry shall do wrong from now on. */
export interface Misbehaviour {
  /** Blobs come with one byte changed. */
  readonly wrongBytes?: boolean
  /** No blob is given beyond its half: there the connection ends. */
  readonly truncate?: boolean
  /** Blobs come with more bytes than the manifest says. */
  readonly tooLong?: boolean
  /** So many answers are 503 with this Retry-After. */
  readonly unavailable?: { times: number; readonly retryAfterSeconds: number }
}

export interface TestRegistry {
  /** `127.0.0.1:PORT`, as it stands in references. */
  readonly host: string
  /** `METHOD /path`, then the range if one was asked for; in order. */
  readonly requests: readonly string[]
  misbehave(how: Misbehaviour): void
  /** Refuses connections until `up`, which takes the same port again. */
  down(): Promise<void>
  up(): Promise<void>
  /** Stores a blob as it is. */
  putBlob(bytes: Uint8Array): Digest
  /** Stores a manifest under a tag, whatever it says. */
  putManifest(repository: string, tag: string, manifest: unknown, mediaType?: string): Digest
  readBlob(digest: Digest): Buffer | undefined
  readManifest(repository: string, tagOrDigest: string): Buffer | undefined
  dispose(): Promise<void>
}

export interface TestRegistryOptions {
  readonly auth?: 'basic' | 'bearer'
  readonly username?: string
  readonly password?: string
  /** Where the bearer challenge sends the client; this registry's own /token by default. */
  readonly realm?: string
  /** Speaks https; with `clientCaPem` only to clients with a certificate of that authority. */
  readonly tls?: { readonly keyPem: string; readonly certPem: string; readonly clientCaPem?: string }
}

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const TOKEN = 'test-token'

/** A real OCI registry on a loopback port, with its blobs in a temporary directory. */
export async function openTestRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const registry = new Registry(options)
  await registry.up()
  return registry
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
}

class Registry implements TestRegistry {
  readonly requests: string[] = []
  private readonly dir = mkdtempSync(join(tmpdir(), 'bt-registry-'))
  private readonly mediaTypes = new Map<string, string>()
  private how: Misbehaviour = {}
  private server: Server | undefined
  private port = 0

  constructor(private readonly options: TestRegistryOptions) {
    mkdirSync(join(this.dir, 'blobs'))
  }

  get host(): string {
    return `127.0.0.1:${this.port}`
  }

  misbehave(how: Misbehaviour): void {
    this.how = how
  }

  async up(): Promise<void> {
    const server = this.makeServer((request, response) => {
      this.answer({ request, response, url: new URL(request.url ?? '/', `http://${this.host}`) }).catch(
        (error: unknown) => send(response, 500, String(error)),
      )
    })
    this.server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.port, '127.0.0.1', resolve)
    })
    const address = server.address()
    this.port = typeof address === 'object' && address ? address.port : 0
  }

  private makeServer(listener: RequestListener): Server {
    const { tls } = this.options
    if (!tls) return createServer(listener)
    const { keyPem: key, certPem: cert, clientCaPem } = tls
    const client = clientCaPem ? { ca: clientCaPem, requestCert: true, rejectUnauthorized: true } : {}
    return createTlsServer({ key, cert, ...client }, listener)
  }

  async down(): Promise<void> {
    const { server } = this
    this.server = undefined
    if (!server) return
    server.closeAllConnections()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  }

  async dispose(): Promise<void> {
    await this.down()
    rmSync(this.dir, { recursive: true, force: true })
  }

  putBlob(bytes: Uint8Array): Digest {
    const digest = digestOf(bytes)
    writeFileSync(this.blobPath(digest), bytes)
    return digest
  }

  putManifest(repository: string, tag: string, manifest: unknown, mediaType = OCI_MANIFEST): Digest {
    return this.storeManifest(repository, tag, Buffer.from(JSON.stringify(manifest)), mediaType)
  }

  readBlob(digest: Digest): Buffer | undefined {
    return readIfThere(this.blobPath(digest))
  }

  readManifest(repository: string, tagOrDigest: string): Buffer | undefined {
    return readIfThere(this.manifestPath(repository, tagOrDigest))
  }

  private blobPath(digest: string): string {
    return join(this.dir, 'blobs', encodeURIComponent(digest))
  }

  private manifestPath(repository: string, tag: string): string {
    return join(this.dir, encodeURIComponent(`${repository}:${tag}`))
  }

  private storeManifest(repository: string, tag: string, bytes: Buffer, mediaType: string): Digest {
    const digest = digestOf(bytes)
    for (const name of [tag, digest]) {
      writeFileSync(this.manifestPath(repository, name), bytes)
      this.mediaTypes.set(`${repository}:${name}`, mediaType)
    }
    return digest
  }

  private async answer(exchange: Exchange): Promise<void> {
    const { request, response, url } = exchange
    const { range } = request.headers
    this.requests.push(`${request.method} ${url.pathname}${range ? ` ${range}` : ''}`)
    const { unavailable } = this.how
    if (unavailable && unavailable.times > 0) {
      unavailable.times -= 1
      return send(response, 503, 'busy', { 'retry-after': String(unavailable.retryAfterSeconds) })
    }
    if (url.pathname === '/token') return this.token(exchange)
    if (!this.isAllowed(request))
      return send(response, 401, 'who are you', { 'www-authenticate': this.challenge() })
    const match = /^\/v2\/(.+)\/(manifests|blobs)\/(uploads\/[^/]*|[^/]+)$/.exec(url.pathname)
    if (!match) return send(response, url.pathname === '/v2/' ? 200 : 404, '')
    const [, repository = '', kind, name = ''] = match
    if (kind === 'manifests') return this.manifest(exchange, repository, name)
    if (name.startsWith('uploads/')) return this.upload(exchange, repository)
    return this.blob(exchange, name)
  }

  private token({ request, response }: Exchange): void {
    if (request.headers.authorization !== this.basic()) return send(response, 401, 'wrong credentials')
    send(response, 200, JSON.stringify({ token: TOKEN }), { 'content-type': 'application/json' })
  }

  private basic(): string {
    const { username = '', password = '' } = this.options
    return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  }

  private isAllowed(request: IncomingMessage): boolean {
    if (!this.options.auth) return true
    const wanted = this.options.auth === 'basic' ? this.basic() : `Bearer ${TOKEN}`
    return request.headers.authorization === wanted
  }

  private challenge(): string {
    return this.options.auth === 'basic'
      ? 'Basic realm="test"'
      : `Bearer realm="${this.options.realm ?? `http://${this.host}/token`}",service="test",scope="whatever"`
  }

  private async manifest({ request, response }: Exchange, repository: string, name: string): Promise<void> {
    if (request.method === 'PUT') {
      const type = request.headers['content-type'] ?? OCI_MANIFEST
      const digest = this.storeManifest(repository, name, await bodyOf(request), type)
      return send(response, 201, '', { 'docker-content-digest': digest })
    }
    const bytes = this.readManifest(repository, name)
    if (!bytes) return send(response, 404, '{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
    send(response, 200, bytes, {
      'content-type': this.mediaTypes.get(`${repository}:${name}`) ?? OCI_MANIFEST,
    })
  }

  private async upload({ request, response, url }: Exchange, repository: string): Promise<void> {
    if (request.method === 'POST')
      return send(response, 202, '', { location: `/v2/${repository}/blobs/uploads/${randomUUID()}` })
    const bytes = await bodyOf(request)
    const digest = url.searchParams.get('digest')
    if (digest !== `sha256:${createHash('sha256').update(bytes).digest('hex')}`)
      return send(response, 400, '{"errors":[{"code":"DIGEST_INVALID"}]}')
    this.putBlob(bytes)
    send(response, 201, '')
  }

  private blob({ request, response }: Exchange, digest: string): void {
    const whole = readIfThere(this.blobPath(decodeURIComponent(digest)))
    if (!whole) return send(response, 404, '{"errors":[{"code":"BLOB_UNKNOWN"}]}')
    if (request.method === 'HEAD') return send(response, 200, '')
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const spoilt = this.spoil(whole)
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': spoilt.length - from })
    if (!this.how.truncate) return void response.end(spoilt.subarray(from))
    response.write(spoilt.subarray(from, Math.floor(spoilt.length / 2)), () => response.destroy())
  }

  private spoil(bytes: Buffer): Buffer {
    if (this.how.tooLong) return Buffer.concat([bytes, Buffer.from('more')])
    if (!this.how.wrongBytes) return bytes
    const changed = Buffer.from(bytes)
    changed[0] = (changed[0] ?? 0) ^ 0xff
    return changed
  }
}

function send(
  response: ServerResponse,
  status: number,
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers })
  response.end(body)
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const readIfThere = (path: string): Buffer | undefined => (existsSync(path) ? readFileSync(path) : undefined)
