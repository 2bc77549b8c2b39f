import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { BENCH_REGISTRY_PORT } from '../bench-site.js'
import { run } from '../command.exec.js'
import { configOf, type Layer } from './big-image.exec.js'

const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const CONFIG = 'application/vnd.docker.container.image.v1+json'
const LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip'

export interface BlobServer {
  /** What to pull. */
  readonly reference: string
  close(): Promise<void>
}

interface Blob {
  readonly type: string
  readonly content: Buffer
}

/**
 * A registry on the loopback that has one image, with its layers compressed by gzip. It answers from memory: what it costs itself is in everybody's
 * figures, and reading files piece by piece kept its collector busy.
 */
export async function serveImage(layers: readonly Layer[], signal: AbortSignal): Promise<BlobServer> {
  const blobs = new Map<string, Blob>()
  const put = (type: string, content: Buffer) => {
    const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`
    blobs.set(digest, { type, content })
    return { mediaType: type, size: content.length, digest }
  }
  const described = []
  for (const { tar } of layers) {
    await run('gzip', ['-1', '--keep', tar], { signal })
    described.push(put(LAYER, readFileSync(`${tar}.gz`)))
  }
  const config = put(CONFIG, Buffer.from(configOf(layers)))
  const manifest = { schemaVersion: 2, mediaType: MANIFEST, config, layers: described }
  const { digest } = put(MANIFEST, Buffer.from(JSON.stringify(manifest)))
  const server = createServer((request, response) => answer(request, response, blobs, digest))
  await listen(server)
  return {
    reference: `127.0.0.1:${BENCH_REGISTRY_PORT}/big:1`,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function answer(
  { url = '', method }: IncomingMessage,
  response: ServerResponse,
  blobs: ReadonlyMap<string, Blob>,
  manifest: string,
): void {
  if (url === '/v2/') return void response.end('{}')
  const [, kind, name = ''] = /^\/v2\/big\/(manifests|blobs)\/([^/?]+)$/.exec(url) ?? []
  const digest = kind === 'manifests' && name === '1' ? manifest : name
  const blob = blobs.get(digest)
  if (!blob) return void response.writeHead(404).end('{"errors":[{"code":"NOT_FOUND"}]}')
  const { type, content } = blob
  response.writeHead(200, {
    'content-type': type,
    'content-length': content.length,
    'docker-content-digest': digest,
    'docker-distribution-api-version': 'registry/2.0',
  })
  if (method === 'HEAD') return void response.end()
  response.end(content)
}

const listen = (server: Server): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(BENCH_REGISTRY_PORT, '127.0.0.1', resolve)
  })
