import type { Readable } from 'node:stream'
import { Fault } from '@berth/core'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { RegistryStore } from '../store/registry.store.js'
import { manifestNeeds } from './manifest-needs.js'

const MANIFEST_MAX_BYTES = 4 * 1024 * 1024
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
const PATH = /^\/v2\/(.+)\/(blobs\/uploads|blobs|manifests|tags)\/?([^/]*)$/

export interface RegistryDeps {
  readonly store: RegistryStore
  /** What the caller may do; undefined when nobody. */
  authorize(request: FastifyRequest): Promise<'pull' | 'push' | undefined>
}

/** The OCI distribution API. One wildcard route: repository names contain slashes. */
export function registryRoutes(deps: RegistryDeps) {
  return async (app: FastifyInstance): Promise<void> => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_request, _payload, done) => done(null))
    app.setErrorHandler((error, _request, reply) => sendFault(reply, Fault.from(error)))
    app.route({
      method: ['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE'],
      url: '/v2/*',
      exposeHeadRoute: false,
      bodyLimit: Number.MAX_SAFE_INTEGER,
      handler: (request, reply) => handle(deps, request, reply),
    })
    app.route({
      method: ['GET', 'HEAD'],
      url: '/v2',
      exposeHeadRoute: false,
      handler: (request, reply) => handle(deps, request, reply),
    })
  }
}

const READ = new Set(['GET', 'HEAD'])

async function handle(deps: RegistryDeps, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  reply.header('docker-distribution-api-version', 'registry/2.0')
  const rights = await deps.authorize(request)
  if (!rights)
    return sendError(
      reply.header('www-authenticate', 'Basic realm="berth"'),
      401,
      'UNAUTHORIZED',
      'log in with any user name and an API token as password',
    )
  if (rights === 'pull' && !READ.has(request.method))
    return sendError(reply, 403, 'DENIED', 'these credentials may only pull')
  const url = new URL(request.url, 'http://registry')
  const path = decodeURIComponent(url.pathname)
  if (/^\/v2\/?$/.test(path)) return reply.send({})
  if (path === '/v2/_catalog') return reply.send({ repositories: await deps.store.repositories() })
  const [, repository = '', kind = '', reference = ''] = PATH.exec(path) ?? []
  if (!NAME.test(repository) || repository.length > 200)
    return sendError(reply, 400, 'NAME_INVALID', `${JSON.stringify(repository)} is not a repository name`)
  const context: Context = { deps, request, reply, repository, reference, query: url.searchParams }
  if (kind === 'tags' && reference === 'list') return listTags(context)
  if (kind === 'manifests') return manifests(context)
  if (kind === 'blobs') return blobs(context)
  return uploads(context)
}

interface Context {
  readonly deps: RegistryDeps
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly repository: string
  readonly reference: string
  readonly query: URLSearchParams
}

async function listTags({ deps, reply, repository, query }: Context): Promise<unknown> {
  const tags = await deps.store.tags(repository)
  if (!tags) return sendError(reply, 404, 'NAME_UNKNOWN', `repository ${repository} does not exist`)
  const last = query.get('last') ?? ''
  const limit = Math.min(Number(query.get('n') ?? 1000) || 1000, 1000)
  return reply.send({ name: repository, tags: tags.filter((tag) => tag > last).slice(0, limit) })
}

async function manifests(context: Context): Promise<unknown> {
  const { deps, request, reply, repository, reference } = context
  if (request.method === 'PUT') return putManifest(context)
  if (request.method === 'DELETE') {
    const gone = await deps.store.deleteManifest(repository, reference)
    return gone
      ? reply.code(202).send()
      : sendError(reply, 404, 'MANIFEST_UNKNOWN', `${repository}:${reference} does not exist`)
  }
  const manifest = await deps.store.manifest(repository, reference)
  if (!manifest) return sendError(reply, 404, 'MANIFEST_UNKNOWN', `${repository}:${reference} does not exist`)
  reply
    .header('docker-content-digest', manifest.digest)
    .header('content-type', manifest.mediaType)
    .header('content-length', manifest.body.length)
  return request.method === 'HEAD' ? reply.send() : reply.send(manifest.body)
}

async function putManifest({ deps, request, reply, repository, reference }: Context): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request.raw) {
    size += (chunk as Buffer).length
    if (size > MANIFEST_MAX_BYTES)
      return sendError(reply, 413, 'SIZE_INVALID', 'a manifest may have at most 4 MiB')
    chunks.push(chunk as Buffer)
  }
  const mediaType = (request.headers['content-type'] ?? '').split(';')[0] ?? ''
  const body = Buffer.concat(chunks)
  const digest = await deps.store.putManifest(
    repository,
    reference,
    mediaType,
    body,
    manifestNeeds(body, mediaType),
  )
  return reply
    .code(201)
    .header('location', `/v2/${repository}/manifests/${digest}`)
    .header('docker-content-digest', digest)
    .send()
}

async function blobs({ deps, request, reply, repository, reference }: Context): Promise<unknown> {
  const size = await deps.store.hasBlob(repository, reference)
  if (size === undefined)
    return sendError(reply, 404, 'BLOB_UNKNOWN', `${repository} has no blob ${reference}`)
  if (!READ.has(request.method)) return sendError(reply, 405, 'UNSUPPORTED', 'blobs go with their repository')
  reply
    .header('docker-content-digest', reference)
    .header('content-type', 'application/octet-stream')
    .header('accept-ranges', 'bytes')
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
  if (!range) {
    reply.header('content-length', size)
    return request.method === 'HEAD' ? reply.send() : reply.send(deps.store.readBlob(reference))
  }
  const start = Number(range[1])
  const end = range[2] ? Math.min(Number(range[2]), size - 1) : size - 1
  if (start > end)
    return sendError(
      reply.header('content-range', `bytes */${size}`),
      416,
      'UNSUPPORTED',
      'the range lies outside the blob',
    )
  reply
    .code(206)
    .header('content-range', `bytes ${start}-${end}/${size}`)
    .header('content-length', end - start + 1)
  return reply.send(deps.store.readBlob(reference, { start, end }))
}

async function uploads(context: Context): Promise<unknown> {
  const { deps, request, reply, repository, reference, query } = context
  if (request.method === 'POST' && reference === '') return beginUpload(context)
  const size = deps.store.uploadSize(reference)
  if (size === undefined)
    return sendError(reply, 404, 'BLOB_UPLOAD_UNKNOWN', `upload ${reference} does not exist`)
  if (request.method === 'DELETE') {
    deps.store.cancelUpload(reference)
    return reply.code(204).send()
  }
  if (request.method === 'GET') return accepted(context, reference, size, 204)
  const from = /^(\d+)-/.exec(String(request.headers['content-range'] ?? ''))?.[1]
  if (from !== undefined && Number(from) !== size)
    return sendError(
      reply.header('range', `0-${Math.max(0, size - 1)}`),
      416,
      'BLOB_UPLOAD_INVALID',
      `the next byte is ${size}`,
    )
  const now = await deps.store.append(reference, request.raw as Readable)
  if (request.method === 'PATCH') return accepted(context, reference, now, 202)
  const digest = query.get('digest') ?? ''
  if (!/^sha256:[0-9a-f]{64}$/.test(digest))
    return sendError(reply, 400, 'DIGEST_INVALID', `${JSON.stringify(digest)} is not a digest`)
  await deps.store.finishUpload(reference, repository, digest)
  return created(context, digest)
}

async function beginUpload(context: Context): Promise<unknown> {
  const { deps, request, repository, query } = context
  const mount = query.get('mount')
  const from = query.get('from')
  if (mount && from && (await deps.store.mountBlob(from, repository, mount))) return created(context, mount)
  const id = await deps.store.beginUpload()
  const digest = query.get('digest')
  if (!digest) return accepted(context, id, 0, 202)
  await deps.store.append(id, request.raw as Readable)
  await deps.store.finishUpload(id, repository, digest)
  return created(context, digest)
}

const created = ({ reply, repository }: Context, digest: string): unknown =>
  reply
    .code(201)
    .header('location', `/v2/${repository}/blobs/${digest}`)
    .header('docker-content-digest', digest)
    .send()

const accepted = ({ reply, repository }: Context, id: string, size: number, code: number): unknown =>
  reply
    .code(code)
    .header('location', `/v2/${repository}/blobs/uploads/${id}`)
    .header('docker-upload-uuid', id)
    .header('range', `0-${Math.max(0, size - 1)}`)
    .send()

const CODES: Readonly<Record<string, readonly [number, string]>> = {
  'registry.digest_invalid': [400, 'DIGEST_INVALID'],
  'registry.manifest_invalid': [400, 'MANIFEST_INVALID'],
  'registry.blob_unknown': [404, 'MANIFEST_BLOB_UNKNOWN'],
  'store.unavailable': [503, 'UNAVAILABLE'],
}

function sendFault(reply: FastifyReply, failure: Fault): unknown {
  const [status, code] = CODES[failure.code] ?? [500, 'UNKNOWN']
  return sendError(reply, status, code, failure.publicMessage)
}

/** distribution-spec, "Error codes". */
function sendError(reply: FastifyReply, status: number, code: string, message: string): unknown {
  return reply
    .code(status)
    .header('content-type', 'application/json')
    .send(JSON.stringify({ errors: [{ code, message }] }))
}
