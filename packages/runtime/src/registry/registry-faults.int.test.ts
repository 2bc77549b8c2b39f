import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { digestOf } from '@berth/core'
import { afterEach, describe, expect, test } from 'vitest'
import { RegistryClient } from './registry.client.js'
import { PATIENCE, type Patience, parseRetryAfter } from './retry.js'

type Handler = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

interface Fake {
  readonly host: string
  readonly lines: string[]
  readonly headers: IncomingMessage['headers'][]
}

async function serve(handler: Handler): Promise<Fake> {
  const fake = { host: '', lines: [] as string[], headers: [] as IncomingMessage['headers'][] }
  const server = createServer(async (request, response) => {
    fake.lines.push(`${request.method} ${request.url}`)
    fake.headers.push(request.headers)
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    handler(request, response, Buffer.concat(chunks))
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  fake.host = `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
  return fake
}

const QUICK: Patience = {
  ...PATIENCE,
  backoff: { initialMs: 1, maxMs: 5 },
  idleTimeoutMs: 200,
}
const client = (host: string, auth = {}, patience: Partial<Patience> = {}) =>
  new RegistryClient(host, undefined, auth, { ...QUICK, ...patience })
const reply = (response: ServerResponse, status: number, body = '', headers = {}) =>
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers }).end(body)

async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

const BODY = 'a blob of some bytes'
const BLOB = { digest: digestOf(BODY), sizeBytes: BODY.length }

describe('F32: a registry that misbehaves', () => {
  test.each([429, 500, 502, 503, 408])(
    '%i is tried five times, no more, and is one clear fault',
    async (status) => {
      const fake = await serve((_request, response) => reply(response, status))
      const failure = { kind: 'unavailable', retryable: true }
      await expect(client(fake.host).getManifest('r', '1')).rejects.toMatchObject(failure)
      expect(fake.lines).toHaveLength(5)
    },
  )

  test('what is refused for good is not tried again', async () => {
    const fake = await serve((_request, response) => reply(response, 404))
    await expect(client(fake.host).getManifest('r', '1')).rejects.toMatchObject({ code: 'image.not_found' })
    expect(fake.lines).toHaveLength(1)
  })

  test('one that takes the request and never answers is given up in time', async () => {
    const fake = await serve(() => {})
    const before = performance.now()
    const failing = client(fake.host, {}, { tries: 2 }).getManifest('r', '1')
    await expect(failing).rejects.toMatchObject({ code: 'registry.unreachable' })
    expect(performance.now() - before).toBeLessThan(3_000)
    expect(fake.lines).toHaveLength(2)
  })

  test('one whose header trickles in is given up in time, though it is never silent', async () => {
    const timers: NodeJS.Timeout[] = []
    const fake = await serve((_request, response) => {
      response.socket?.write('HTTP/1.1 200 OK\r\n')
      timers.push(setInterval(() => response.socket?.write('x: y\r\n'), 20))
    })
    const failing = client(fake.host, {}, { tries: 1 }).getManifest('r', '1')
    await expect(failing).rejects.toMatchObject({ code: 'registry.unreachable' })
    for (const timer of timers) clearInterval(timer)
  })

  test('one whose blob trickles in is given up, though it is never silent', async () => {
    const timers: NodeJS.Timeout[] = []
    const fake = await serve((_request, response) => {
      response.writeHead(200)
      timers.push(setInterval(() => response.write('x'), 20))
    })
    const big = { ...BLOB, sizeBytes: 1_000_000 }
    const failing = bytesOf(client(fake.host, {}, { tries: 1 }).getBlob('r', big))
    await expect(failing).rejects.toMatchObject({ code: 'registry.unreachable' })
    for (const timer of timers) clearInterval(timer)
  })

  test('a caller who gives up while the registry is silent has his answer at once', async () => {
    const stop = new AbortController()
    const fake = await serve(() => stop.abort())
    const failing = client(fake.host, {}, { idleTimeoutMs: 60_000 }).getManifest('r', '1', stop.signal)
    await expect(failing).rejects.toMatchObject({ kind: 'cancelled' })
  })

  test('F31: a range that begins elsewhere is never taken for the one that was asked for', async () => {
    const fake = await serve((_request, response) =>
      reply(response, 206, BODY.slice(3), { 'content-range': `bytes 3-${BODY.length - 1}/${BODY.length}` }),
    )
    const failing = bytesOf(client(fake.host, {}, { tries: 2 }).getBlob('r', { ...BLOB, offset: 5 }))
    await expect(failing).rejects.toMatchObject({ code: 'registry.unreachable' })
  })

  test('F31: a registry without ranges sends the whole, of which what is here already is skipped', async () => {
    const fake = await serve((_request, response) => reply(response, 200, BODY))
    expect(await bytesOf(client(fake.host).getBlob('r', { ...BLOB, offset: 7 }))).toBe(BODY.slice(7))
  })
})

test('Retry-After is seconds or a date', () => {
  expect(parseRetryAfter('7', 0)).toEqual({ retryAfterMs: 7_000 })
  expect(parseRetryAfter('Thu, 01 Jan 1970 00:00:09 GMT', 4_000)).toEqual({ retryAfterMs: 5_000 })
  expect(parseRetryAfter('soon', 0)).toEqual({})
})

describe('credentials', () => {
  const challenge = (host: string) => ({
    'www-authenticate': `Bearer realm="http://${host}/token",service="s"`,
  })
  const guarded = async (tokenOf: (request: IncomingMessage, body: string) => string | undefined) => {
    const fake: Fake = await serve((request, response, body) => {
      if (request.url?.startsWith('/token')) {
        const token = tokenOf(request, body.toString())
        return token ? reply(response, 200, JSON.stringify({ access_token: token })) : reply(response, 401)
      }
      if (request.headers.authorization === 'Bearer good') return reply(response, 200, '{}')
      return reply(response, 401, '', challenge(fake.host))
    })
    return fake
  }

  test('an identity token is exchanged by OAuth2, with the scope, and never sent anywhere else', async () => {
    const forms: URLSearchParams[] = []
    const fake = await guarded((request, body) => {
      forms.push(new URLSearchParams(body))
      return request.method === 'POST' ? 'good' : undefined
    })
    await client(fake.host, { identityToken: 'refresh me' }).getManifest('a/b', '1')
    expect(Object.fromEntries(forms[0] ?? [])).toMatchObject({
      grant_type: 'refresh_token',
      refresh_token: 'refresh me',
      service: 's',
      scope: 'repository:a/b:pull',
    })
  })

  test('a registry token is used as it is', async () => {
    const fake = await guarded(() => undefined)
    await client(fake.host, { registryToken: 'good' }).getManifest('a/b', '1')
    expect(fake.lines).toEqual(['GET /v2/a/b/manifests/1'])
  })

  test('login is right credentials or registry.unauthorized', async () => {
    const fake = await guarded((request) =>
      request.headers.authorization === `Basic ${Buffer.from('u:p').toString('base64')}` ? 'good' : undefined,
    )
    await client(fake.host, { username: 'u', password: 'p' }).ping()
    const wrong = client(fake.host, { username: 'u', password: 'x' }).ping()
    await expect(wrong).rejects.toMatchObject({ code: 'registry.unauthorized' })
  })

  test('W16: a redirect to another host carries no credentials', async () => {
    const storage = await serve((_request, response) => reply(response, 200, BODY))
    const fake = await guarded(() => 'good')
    const redirecting = await serve((request, response) =>
      request.headers.authorization
        ? reply(response, 307, '', { location: `http://${storage.host}/data` })
        : reply(response, 401, '', { 'www-authenticate': 'Basic realm="x"' }),
    )
    const one = client(redirecting.host, { username: 'u', password: 'p' })
    expect(await bytesOf(one.getBlob('r', BLOB))).toBe(BODY)
    expect(storage.headers.map(({ authorization }) => authorization)).toEqual([undefined])
    expect(fake.lines).toEqual([])
  })

  test('W16: an upload’s place on another host gets no credentials', async () => {
    const storage = await serve((_request, response) => reply(response, 201))
    const fake = await serve((request, response) =>
      request.headers.authorization
        ? reply(response, 202, '', { location: `http://${storage.host}/up` })
        : reply(response, 401, '', { 'www-authenticate': 'Basic realm="x"' }),
    )
    const upload = { repository: 'r', ...BLOB, open: () => Readable.from([Buffer.from(BODY)]) }
    await client(fake.host, { username: 'u', password: 'p' }).putBlob(upload)
    expect(storage.headers.map(({ authorization }) => authorization)).toEqual([undefined])
  })
})

describe('F34: uploads', () => {
  test('a blob another repository has is mounted and not sent', async () => {
    const fake = await serve((_request, response) => reply(response, 201))
    const open = () => Readable.from([])
    const upload = { repository: 'b', ...BLOB, mountFrom: 'a', open }
    expect(await client(fake.host).putBlob(upload)).toBe('mounted')
    expect(fake.lines).toEqual([`POST /v2/b/blobs/uploads/?mount=${BLOB.digest.replace(':', '%3A')}&from=a`])
  })

  test('an upload that broke off goes on where the registry stopped', async () => {
    const received: string[] = []
    const fake = await serve((request, response, body) => {
      const { method } = request
      if (method === 'POST') return reply(response, 202, '', { location: '/v2/r/blobs/uploads/1' })
      if (method === 'GET')
        return reply(response, 204, '', { range: '0-7', location: '/v2/r/blobs/uploads/1' })
      if (method === 'PATCH') {
        received.push(`${request.headers['content-range']} ${body}`)
        return reply(response, 202, '', { location: '/v2/r/blobs/uploads/2' })
      }
      if (body.length > 0) return void response.socket?.destroy()
      received.push(`PUT ${request.url?.split('?')[0]}`)
      return reply(response, 201)
    })
    const open = (offset: number) => Readable.from([Buffer.from(BODY.slice(offset))])
    expect(await client(fake.host).putBlob({ repository: 'r', ...BLOB, open })).toBe('sent')
    expect(received).toEqual([`8-${BODY.length - 1} ${BODY.slice(8)}`, 'PUT /v2/r/blobs/uploads/2'])
  })

  test('an upload the registry has forgotten begins again', async () => {
    let puts = 0
    const fake = await serve((request, response) => {
      if (request.method === 'POST') return reply(response, 202, '', { location: '/v2/r/blobs/uploads/1' })
      if (request.method === 'GET') return reply(response, 404)
      puts += 1
      return puts === 1 ? void response.socket?.destroy() : reply(response, 201)
    })
    const open = () => Readable.from([Buffer.from(BODY)])
    expect(await client(fake.host).putBlob({ repository: 'r', ...BLOB, open })).toBe('sent')
    expect(fake.lines.filter((line) => line.startsWith('POST'))).toHaveLength(2)
  })
})
