import 'reflect-metadata'
import { createHash } from 'node:crypto'
import { request as httpsRequest } from 'node:https'
import { systemClock } from '@berth/core'
import * as x509 from '@peculiar/x509'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signNode } from '../ca/certificates.exec.js'
import { ClusterStore } from '../store/cluster.store.js'
import { aServing, pushTinyImage, type ServingFixture } from '../testing/serving.js'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

let control: ServingFixture
let digest = ''
beforeAll(async () => {
  control = await aServing()
  digest = await pushTinyImage(control, 'demo/web', '1')
})
afterAll(() => control.dispose())

const basic = () => `Basic ${Buffer.from(`anyone:${control.token}`).toString('base64')}`
const v2 = (method: string, path: string, headers: Record<string, string> = {}, body?: string) =>
  fetch(`http://127.0.0.1:${control.config.http.port}/v2/${path}`, {
    method,
    headers: { authorization: basic(), ...headers },
    ...(body === undefined ? {} : { body }),
  })
const sha256 = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`

test('a manifest is read by tag and by digest, byte for byte', async () => {
  const byTag = await v2('GET', 'demo/web/manifests/1')
  expect(byTag.headers.get('docker-content-digest')).toBe(digest)
  expect(sha256(await byTag.text())).toBe(digest)
  expect((await v2('HEAD', `demo/web/manifests/${digest}`)).status).toBe(200)
  expect(await (await v2('GET', 'demo/web/tags/list')).json()).toEqual({ name: 'demo/web', tags: ['1'] })
})

test('nobody gets in without a token; a session of the dashboard is none', async () => {
  const { password } = await control.command<{ password: string }>('admin-login')
  const login = await control.call('POST', '/session', { name: 'admin', password }, {})
  const cookie = login.headers.get('set-cookie')?.split(';')[0] ?? ''
  for (const headers of [
    { authorization: '' },
    { authorization: '', cookie },
    { authorization: 'Basic eDp5' },
  ]) {
    const answer = await v2('GET', 'demo/web/manifests/1', headers)
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Basic realm="berth"'])
  }
})

test('a blob goes up in pieces, can be read in part, and is mounted into another repository without sending', async () => {
  const begun = await v2('POST', 'parts/one/blobs/uploads/')
  const where = (begun.headers.get('location') ?? '').replace('/v2/', '')
  expect((await v2('PATCH', where, { 'content-range': '0-4' }, 'hello')).headers.get('range')).toBe('0-4')
  expect((await v2('PATCH', where, { 'content-range': '9-10' }, 'xx')).status).toBe(416)
  const all = sha256('hello world')
  expect((await v2('PUT', `${where}?digest=${all}`, {}, ' world')).status).toBe(201)
  const part = await v2('GET', `parts/one/blobs/${all}`, { range: 'bytes=6-10' })
  expect([part.status, await part.text()]).toEqual([206, 'world'])
  const mount = await v2('POST', `parts/two/blobs/uploads/?mount=${all}&from=parts/one`)
  expect([mount.status, (await v2('HEAD', `parts/two/blobs/${all}`)).status]).toEqual([201, 200])
})

test('a blob whose digest is wrong leaves nothing', async () => {
  const wrong = sha256('something else')
  const answer = await v2('POST', `liar/app/blobs/uploads/?digest=${wrong}`, {}, 'not that')
  expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining('DIGEST_INVALID')])
  expect((await v2('HEAD', `liar/app/blobs/${wrong}`)).status).toBe(404)
})

test('a manifest whose blobs are not there is refused and names one', async () => {
  const missing = sha256('nowhere')
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: { mediaType, digest: missing, size: 1 },
    layers: [],
  }
  const answer = await v2(
    'PUT',
    'holes/app/manifests/1',
    { 'content-type': mediaType },
    JSON.stringify(manifest),
  )
  expect([answer.status, await answer.text()]).toEqual([404, expect.stringContaining(missing)])
})

test.each(['..%2f..%2fetc/manifests/1', 'UPPER/manifests/1', 'a/%00b/manifests/1', '-x/blobs/sha256:0'])(
  'the repository %s is refused',
  async (path) => expect([400, 404]).toContain((await v2('GET', path)).status),
)

test("a member's certificate may pull and not push; after the node is removed, neither", async () => {
  const { database, config } = control
  const cluster = new ClusterStore(database.database, config.dataDir, systemClock)
  const ca = await cluster.ca()
  const { token } = await control.command<{ token: string }>('join-token', { name: 'puller' })
  const nodeId = await cluster.enroll({ token, hostname: 'puller', machineId: 'm' })
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=x',
    keys,
    signingAlgorithm: ALGORITHM,
  })
  const key = x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')
  const cert = await signNode(ca, csr.toString('pem'), nodeId, Date.now())
  const send = (method: string, path: string) =>
    new Promise<number>((resolve, reject) => {
      const options = {
        method,
        host: '127.0.0.1',
        port: config.https?.port,
        path: `/v2/${path}`,
        agent: false as const,
      }
      const tls = { ca: ca.certificatePem, cert, key, servername: 'control-plane.berth.internal' }
      httpsRequest({ ...options, ...tls }, (answer) => resolve(answer.resume().statusCode ?? 0))
        .on('error', reject)
        .end()
    })
  expect(await send('GET', 'demo/web/manifests/1')).toBe(200)
  expect(await send('POST', 'demo/web/blobs/uploads/')).toBe(403)
  await database.database.query('DELETE FROM node WHERE id = $1', [nodeId])
  expect(await send('GET', 'demo/web/manifests/1')).toBe(401)
})
