import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger, systemClock } from '@berth/core'
import { runCommand } from '../commands.exec.js'
import type { Config } from '../config/env.js'
import { type Serving, serve } from '../serve.exec.js'
import { aDatabase, type StoreFixture } from './database.js'

export interface ServingFixture {
  readonly database: StoreFixture
  readonly config: Config
  readonly serving: Serving
  readonly token: string
  /** Calls /api/v1 with the token, unless other headers are given. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>
  /** One of the commands that run beside a serving control plane. */
  command<T>(name: string, options?: { name?: string }): Promise<T>
  dispose(): Promise<void>
}

/** A whole control plane on a database of its own, listening on free ports of loopback. */
export async function aServing(): Promise<ServingFixture> {
  const database = await aDatabase()
  const dataDir = mkdtempSync(join(tmpdir(), 'berth-cp-'))
  const [http, https, grpc] = [await freePort(), await freePort(), await freePort()]
  const at = (port: number) => ({ host: '127.0.0.1', port })
  const config: Config = {
    databaseUrl: database.url,
    dataDir,
    http: at(http),
    https: at(https),
    grpc: at(grpc),
    webUrl: 'http://127.0.0.1:9',
    logLevel: 'error',
    holder: 'test',
  }
  const serving = await serve(config, systemClock, silentLogger)
  const command = async <T>(name: string, options: { name?: string } = {}) =>
    (await runCommand(config, name, options, systemClock, silentLogger)) as T
  const { token } = await command<{ token: string }>('api-token', { name: 'test' })
  return {
    database,
    config,
    serving,
    token,
    command,
    call: (method, path, body, headers = { authorization: `Bearer ${token}` }) =>
      fetch(`http://127.0.0.1:${http}/api/v1${path}`, {
        method,
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    dispose: async () => {
      await serving.close()
      await database.dispose()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

/** Pushes an image without layers, by the distribution API alone. */
export async function pushTinyImage(
  fixture: ServingFixture,
  repository: string,
  tag: string,
): Promise<string> {
  const base = `http://127.0.0.1:${fixture.config.http.port}/v2/${repository}`
  const authorization = `Basic ${Buffer.from(`x:${fixture.token}`).toString('base64')}`
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [] },
  })
  const digest = await sha256(config)
  const upload = await fetch(`${base}/blobs/uploads/?digest=${digest}`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/octet-stream' },
    body: config,
  })
  if (upload.status !== 201) throw new Error(`blob: ${upload.status} ${await upload.text()}`)
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: config.length },
    layers: [],
  })
  const put = await fetch(`${base}/manifests/${tag}`, {
    method: 'PUT',
    headers: { authorization, 'content-type': mediaType },
    body: manifest,
  })
  if (put.status !== 201) throw new Error(`manifest: ${put.status} ${await put.text()}`)
  return sha256(manifest)
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return `sha256:${Buffer.from(digest).toString('hex')}`
}
