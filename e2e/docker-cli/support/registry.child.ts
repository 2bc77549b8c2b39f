import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

/*
 * Two plain registries on the loopback of the engine's network namespace, in memory: 127.0.0.1:5000 lets everybody in, 127.0.0.1:5001 only
 * alice with the password secret. /files/NAME is a file that says its name, dated 2022. Run by Node as it stands, so nothing here needs a compiler.
 */
const BASIC = `Basic ${Buffer.from('alice:secret').toString('base64')}`

interface Stored {
  readonly bytes: Buffer
  readonly type: string
}

type Answer = (status: number, body?: string | Buffer, headers?: Record<string, string>) => void

const sha256 = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
const problem = (code: string): string => JSON.stringify({ errors: [{ code, message: code.toLowerCase() }] })

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

function registry(port: number, isOpen: boolean): void {
  const blobs = new Map<string, Buffer>()
  const uploads = new Map<string, Buffer>()
  const manifests = new Map<string, Stored>()

  async function manifest(request: IncomingMessage, repository: string, name: string, answer: Answer) {
    if (request.method === 'PUT') {
      const bytes = await bodyOf(request)
      const stored = { bytes, type: request.headers['content-type'] ?? '' }
      manifests.set(`${repository}:${name}`, stored)
      manifests.set(`${repository}:${sha256(bytes)}`, stored)
      return answer(201, '', { 'docker-content-digest': sha256(bytes), location: request.url ?? '' })
    }
    const found = manifests.get(`${repository}:${name}`)
    if (!found) return answer(404, problem('MANIFEST_UNKNOWN'))
    answer(200, found.bytes, { 'content-type': found.type, 'docker-content-digest': sha256(found.bytes) })
  }

  function tags(repository: string, answer: Answer): void {
    const of = [...manifests.keys()].filter(
      (key) => key.startsWith(`${repository}:`) && !key.includes('sha256:'),
    )
    const names = of.map((key) => key.slice(repository.length + 1))
    answer(200, JSON.stringify({ name: repository, tags: names }), { 'content-type': 'application/json' })
  }

  async function upload(request: IncomingMessage, url: URL, repository: string, id: string, answer: Answer) {
    if (request.method === 'POST') {
      const fresh = randomUUID()
      uploads.set(fresh, Buffer.alloc(0))
      return answer(202, '', location(repository, fresh, 0))
    }
    const bytes = Buffer.concat([uploads.get(id) ?? Buffer.alloc(0), await bodyOf(request)])
    uploads.set(id, bytes)
    if (request.method === 'PATCH') return answer(202, '', location(repository, id, bytes.length))
    const digest = url.searchParams.get('digest') ?? ''
    if (digest !== sha256(bytes)) return answer(400, problem('DIGEST_INVALID'))
    blobs.set(digest, bytes)
    uploads.delete(id)
    answer(201, '', { 'docker-content-digest': digest, location: `/v2/${repository}/blobs/${digest}` })
  }

  const location = (repository: string, id: string, length: number) => ({
    location: `/v2/${repository}/blobs/uploads/${id}`,
    'docker-upload-uuid': id,
    range: `0-${Math.max(0, length - 1)}`,
  })

  async function serve(request: IncomingMessage, answer: Answer): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://registry')
    if (!isOpen && request.headers.authorization !== BASIC)
      return answer(401, problem('UNAUTHORIZED'), { 'www-authenticate': 'Basic realm="test"' })
    if (url.pathname === '/v2/') return answer(200, '{}')
    const [, file] = /^\/files\/([a-z.]+)$/.exec(url.pathname) ?? []
    if (file) return answer(200, `I am ${file}\n`, { 'last-modified': 'Sat, 01 Jan 2022 00:00:00 GMT' })
    const [, listed] = /^\/v2\/(.+)\/tags\/list$/.exec(url.pathname) ?? []
    if (listed) return tags(listed, answer)
    const [, repository = '', kind, name = ''] =
      /^\/v2\/(.+)\/(manifests|blobs\/uploads|blobs)\/([^/]*)$/.exec(url.pathname) ?? []
    if (kind === 'manifests') return manifest(request, repository, name, answer)
    if (kind === 'blobs/uploads') return upload(request, url, repository, name, answer)
    const blob = kind === 'blobs' ? blobs.get(name) : undefined
    if (!blob) return answer(404, problem(kind === 'blobs' ? 'BLOB_UNKNOWN' : 'UNSUPPORTED'))
    answer(200, blob, { 'content-type': 'application/octet-stream', 'docker-content-digest': name })
  }

  createServer((request: IncomingMessage, response: ServerResponse) => {
    const answer: Answer = (status, body = '', headers = {}) => {
      const length = String(Buffer.byteLength(body))
      response.writeHead(status, {
        'docker-distribution-api-version': 'registry/2.0',
        'content-length': length,
        ...headers,
      })
      response.end(request.method === 'HEAD' ? undefined : body)
    }
    serve(request, answer).catch((error: unknown) => answer(500, String(error)))
  }).listen(port, '127.0.0.1')
}

registry(5000, true)
registry(5001, false)
