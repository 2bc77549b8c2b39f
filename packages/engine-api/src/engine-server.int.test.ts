import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fault, silentLogger } from '@berth/core'
import { afterEach, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { z } from 'zod'
import { createEngineServer, type EngineServer, listenOnSocket, type Route } from './index.js'

const SERVER = {
  apiVersion: '1.44',
  minApiVersion: '1.24',
  osType: 'linux',
  experimental: false,
  name: 'Berth/test (linux)',
}
const dirs: string[] = []
const servers: EngineServer[] = []

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true })
})

async function serve(routes: readonly Route[]): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'berth-engine-'))
  dirs.push(dir)
  const path = join(dir, 'docker.sock')
  const server = createEngineServer({
    routes,
    server: SERVER,
    logger: silentLogger,
    limits: { closeGraceMs: 200 },
  })
  servers.push(server)
  await listenOnSocket(server.http, path)
  return path
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

function ask(
  socketPath: string,
  path: string,
  options: { method?: string; body?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { socketPath, path, method: options.method ?? 'GET', headers: options.headers ?? {}, agent: false },
      async (answer) =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: await text(answer) }),
    )
    request.once('error', reject)
    request.end(options.body)
  })
}

/** Bytes as they stand on the wire, both ways; the client's side ends after what it sends only if `end`. */
function raw(
  path: string,
  bytes: string,
  end = false,
): { readonly socket: Socket; readonly all: Promise<string> } {
  const socket = connect({ path, allowHalfOpen: true })
  if (end) socket.end(bytes)
  else socket.write(bytes)
  return { socket, all: text(socket) }
}

const route = (method: Route['method'], path: string, handle: Route['handle']): Route => ({
  method,
  path,
  handle,
})
const json = { 'Content-Type': 'application/json' }
const echoBody = route('POST', '/echo', async (call) =>
  call.json(200, await call.readJson(z.looseObject({}))),
)

test('every answer, errors included, has docker’s headers', async () => {
  const path = await serve([route('GET', '/ping', async (call) => call.text(200, 'OK'))])
  for (const [url, status] of [
    ['/ping', 200],
    ['/v1.24/ping', 200],
    ['/v1.44/ping', 200],
    ['/nothing', 404],
  ] as const) {
    const answer = await ask(path, url)
    expect([url, answer.status]).toEqual([url, status])
    expect(answer.headers).toMatchObject({
      'api-version': '1.44',
      ostype: 'linux',
      'docker-experimental': 'false',
      server: 'Berth/test (linux)',
    })
  }
  expect(JSON.parse((await ask(path, '/nothing')).body)).toEqual({ message: 'page not found' })
})

test('a version we do not speak is refused in docker’s words', async () => {
  const path = await serve([])
  const message = async (url: string) => [
    (await ask(path, url)).status,
    JSON.parse((await ask(path, url)).body).message,
  ]
  expect(await message('/v1.99/info')).toEqual([
    400,
    'client version 1.99 is too new. Maximum supported API version is 1.44',
  ])
  expect(await message('/v1.23/info')).toEqual([
    400,
    'client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version',
  ])
})

test('what a handler throws is docker’s error with the status of its kind', async () => {
  const path = await serve([
    route('GET', '/c/{id}', async (call) => {
      throw fault.notFound('container.not_found', `No such container: ${call.params.id}`)
    }),
    route('GET', '/silent', async () => {}),
  ])
  const answer = await ask(path, '/v1.40/c/web%20x')
  expect([answer.status, answer.body]).toEqual([404, '{"message":"No such container: web x"}\n'])
  expect((await ask(path, '/silent')).status).toBe(500)
})

test('E12: a JSON body is read whole, chunked or not, up to the limit and not beyond', async () => {
  const path = await serve([echoBody])
  const post = (body: string, headers: Record<string, string> = json) =>
    ask(path, '/echo', { method: 'POST', body, headers })
  expect((await post('{"a":1}')).body).toBe('{"a":1}\n')
  expect((await post('{"a":9223372036854775807}')).body).toBe('{"a":9223372036854775807}\n')
  expect((await post('{"a":1}', { ...json, 'Transfer-Encoding': 'chunked' })).body).toBe('{"a":1}\n')
  expect((await post('')).body).toBe('{}\n')
  expect((await post('[]')).status).toBe(400)
  expect((await post('{"a":1e999}')).status).toBe(400)
  expect((await post('{} x')).status).toBe(400)
  expect(JSON.parse((await post('{}', { 'Content-Type': 'text/plain' })).body).message).toContain(
    "must be 'application/json'",
  )
  const large = await post(`{"a":"${'x'.repeat(4 * 1024 * 1024)}"}`)
  expect([large.status, JSON.parse(large.body).message]).toEqual([
    400,
    'request body is larger than 4194304 bytes',
  ])
})

test.each([
  [
    'both lengths',
    'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['two lengths', 'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}}'],
  ['no HTTP', '\u0016\u0003\u0001\r\n\r\n'],
])('E12: a request whose end is doubtful (%s) is refused and its connection ends', async (_what, bytes) => {
  const path = await serve([echoBody])
  expect(await raw(path, bytes).all).toMatch(/^HTTP\/1.1 400 Bad Request/)
})

test('E12: bytes after a body of length 0 are not part of it', async () => {
  const path = await serve([echoBody])
  const answers = await raw(path, 'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n{"a":1}', true)
    .all
  expect(answers).toContain('HTTP/1.1 400 Bad Request')
  expect(answers).not.toContain('"a"')
})

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: tcp\r\n'
const upper = route('POST', '/hijack', async (call) => {
  const body = await call.readBytes()
  const duplex = call.hijack()
  duplex.write(`body=${Buffer.from(body).toString()};`)
  for await (const chunk of duplex) duplex.write(String(chunk).toUpperCase())
  duplex.write('eof')
  duplex.end()
})

test.each([
  ['its length is told by chunks', 'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['it would rather speak HTTP/2', 'HTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 0\r\n\r\n'],
])('E12: on a request that upgrades nothing is guessed: %s', async (what, rest) => {
  const path = await serve([upper])
  const upgrade = what.includes('HTTP/2')
    ? 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n'
    : UPGRADE
  const { socket, all } = raw(path, `POST /hijack HTTP/1.1\r\nHost: x\r\n${upgrade}${rest}`)
  await new Promise((resolve) => socket.once('readable', resolve))
  socket.end()
  expect(await all).toMatch(what.includes('HTTP/2') ? /body=;/ : /^HTTP\/1.1 400 Bad Request/)
})

test.each([
  ['E16: a page of a website', { Origin: 'https://evil.example' }, 403],
  ['E16: a page without an origin of its own', { Origin: 'null' }, 403],
  ['docker’s own clients', {}, 200],
])('%s is answered accordingly', async (_who, headers, status) => {
  const path = await serve([echoBody])
  const answer = await ask(path, '/echo', {
    method: 'POST',
    body: '{"a":1}',
    headers: { ...json, ...headers },
  })
  expect(answer.status).toBe(status)
})

test('an upgraded connection gives the handler its body, then raw bytes; the end of the input does not end the output', async () => {
  const path = await serve([upper])
  const { socket, all } = raw(
    path,
    `POST /hijack HTTP/1.1\r\nHost: x\r\n${UPGRADE}Content-Length: 4\r\n\r\nbodyearly `,
  )
  await new Promise((resolve) => socket.once('readable', resolve))
  socket.end('late')
  const answer = await all
  expect(answer).toMatch(/^HTTP\/1.1 101 UPGRADED\r\n/)
  expect(answer).toContain('Content-Type: application/vnd.docker.raw-stream\r\n')
  expect(answer.split('\r\n\r\n')[1]).toBe('body=body;EARLY LATEeof')
})

test('a client that does not ask to upgrade gets a 200 that ends with the connection, its chunked body as input', async () => {
  const path = await serve([
    route('POST', '/hijack', async (call) => {
      const duplex = call.hijack()
      for await (const chunk of duplex) duplex.write(String(chunk).toUpperCase())
      duplex.end('end')
    }),
  ])
  const { all } = raw(
    path,
    'POST /hijack HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  )
  expect((await all).split('\r\n\r\n')[1]).toBe('ABCend')
})

test('a refusal on a request that asked to upgrade is plain HTTP', async () => {
  const path = await serve([])
  const { all } = raw(path, `POST /nothing HTTP/1.1\r\nHost: x\r\n${UPGRADE}\r\n`)
  expect(await all).toMatch(/^HTTP\/1.1 404 Not Found.*\{"message":"page not found"\}\n$/s)
})

test('a stream gives its headers before its first byte and each piece when it is written', async () => {
  const next = Promise.withResolvers<void>()
  const path = await serve([
    route('GET', '/stream', async (call) => {
      const stream = call.stream('application/json')
      await next.promise
      await stream.writeJson({ n: 1n })
      await stream.end()
    }),
  ])
  const answer = await new Promise<Answer>((resolve) => {
    httpRequest({ socketPath: path, path: '/stream', agent: false }, async (message) => {
      next.resolve()
      resolve({ status: message.statusCode ?? 0, headers: message.headers, body: await text(message) })
    }).end()
  })
  expect([answer.status, answer.body]).toEqual([200, '{"n":1}\r\n'])
})

test('the signal of a call fires when its client leaves, hijacked or not', async () => {
  const left: string[] = []
  const both = Promise.withResolvers<void>()
  const leave = (call: Parameters<Route['handle']>[0]) =>
    new Promise<void>((resolve) =>
      call.signal.addEventListener('abort', () => {
        left.push(call.path)
        if (left.length === 2) both.resolve()
        resolve()
      }),
    )
  const path = await serve([
    route('GET', '/plain', async (call) => {
      call.stream('text/plain')
      await leave(call)
    }),
    // The kernel tells of a hijacked client's leaving only as the end of its input: who writes then learns the rest.
    route('POST', '/raw', async (call) => {
      const duplex = call.hijack().resume()
      duplex.on('end', () => duplex.write('still there?'))
      await leave(call)
    }),
  ])
  for (const bytes of [
    'GET /plain HTTP/1.1\r\nHost: x\r\n\r\n',
    `POST /raw HTTP/1.1\r\nHost: x\r\n${UPGRADE}\r\n`,
  ]) {
    const { socket, all } = raw(path, bytes)
    await new Promise((resolve) => socket.once('readable', resolve))
    socket.destroy()
    await all.catch(() => {})
  }
  await both.promise
  expect(left.sort()).toEqual(['/plain', '/raw'])
})

test('closing ends open streams by their signal and cuts those that do not listen', async () => {
  const path = await serve([
    route('GET', '/ends', async (call) => {
      const stream = call.stream('text/plain')
      await new Promise((resolve) => call.signal.addEventListener('abort', resolve))
      await stream.write('bye')
      await stream.end()
    }),
    route('GET', '/stuck', async (call) => {
      call.stream('text/plain')
      await new Promise(() => {})
    }),
  ])
  const [ends, stuck] = ['/ends', '/stuck'].map((url) => raw(path, `GET ${url} HTTP/1.1\r\nHost: x\r\n\r\n`))
  await Promise.all(
    [ends, stuck].map((client) => new Promise((resolve) => client?.socket.once('readable', resolve))),
  )
  await servers[0]?.close()
  expect(await ends?.all).toContain('bye')
  expect(await stuck?.all.catch(() => 'cut')).not.toContain('bye')
})

test('a websocket carries bytes both ways, and one who does not ask for it is refused', async () => {
  const path = await serve([
    route('GET', '/ws', async (call) => {
      const stream = await call.websocket()
      for await (const chunk of stream) stream.write(String(chunk).toUpperCase())
    }),
  ])
  const client = new WebSocket(`ws+unix://${path}:/v1.44/ws`)
  const answer = new Promise((resolve) => client.once('message', (bytes) => resolve(String(bytes))))
  client.once('open', () => client.send('hello'))
  expect(await answer).toBe('HELLO')
  client.terminate()
  expect((await ask(path, '/ws')).status).toBe(400)
})

test('a left-over socket file is replaced, one that answers and one that is no socket are refused', async () => {
  const path = await serve([])
  expect(statSync(path).mode & 0o777).toBe(0o660)
  const second = createEngineServer({ routes: [], server: SERVER, logger: silentLogger })
  await expect(listenOnSocket(second.http, path)).rejects.toMatchObject({ code: 'engine.socket_in_use' })
  const file = `${path}.file`
  writeFileSync(file, '')
  await expect(listenOnSocket(second.http, file)).rejects.toMatchObject({ code: 'engine.socket_invalid' })
  const dead = `${path}.dead`
  const { execFileSync } = await import('node:child_process')
  execFileSync('python3', ['-c', `import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])`, dead])
  await listenOnSocket(second.http, dead)
  servers.push(second)
  expect((await ask(dead, '/x')).status).toBe(404)
})
