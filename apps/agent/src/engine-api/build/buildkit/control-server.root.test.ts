import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { silentLogger, systemClock } from '@berth/core'
import { buildControl, buildGateway, type buildStatus } from '@berth/proto'
import { buildTinyImage, openTestRuntime, type TestRuntime, tarOf, until } from '@berth/runtime/testing'
import { credentials, Metadata, type Server, ServerCredentials, type ServiceError } from '@grpc/grpc-js'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type BuildClientOptions, buildClient } from '../../../testing/build-client.js'
import { startEngineApi } from '../../engine-api.exec.js'
import { openSessionChannel } from './session-channel.exec.js'

/* A client of buildx as it is on the wire: its calls on one connection, what it serves on another. */
let host: TestRuntime
let api: { close(): Promise<void> }
let socketPath: string
beforeAll(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime, { tag: 'base:1' })
  socketPath = `${host.dir}/docker.sock`
  const engine = {
    version: '0',
    compat: 'berth',
    insecureRegistries: [],
    registryMirrors: {},
    labels: [],
  } as const
  const { runtime } = host
  api = await startEngineApi({
    runtime,
    socket: socketPath,
    clock: systemClock,
    logger: silentLogger,
    engine,
  })
})
afterAll(async () => {
  await api?.close()
  await host?.dispose()
})

async function upgraded(
  path: string,
  headers: Readonly<Record<string, string | string[]>> = {},
): Promise<Socket> {
  const call = request({
    socketPath,
    path,
    method: 'POST',
    headers: { connection: 'Upgrade', upgrade: 'h2c', ...headers },
  })
  call.end()
  const [answer, socket, head] = (await once(call, 'upgrade')) as [{ statusCode: number }, Socket, Buffer]
  // The other side may have begun already.
  if (head.length > 0) socket.unshift(head)
  expect(answer.statusCode).toBe(101)
  return socket
}

let control: buildControl.ControlClient
let gateway: buildGateway.LLBBridgeClient
let ends: (() => void)[]
let serial = 0
beforeEach(async () => {
  const channel = await openSessionChannel(await upgraded('/grpc'), mkdtempSync(`${host.dir}/channel-`))
  control = new buildControl.ControlClient(channel.address, credentials.createInsecure())
  gateway = new buildGateway.LLBBridgeClient(channel.address, credentials.createInsecure(), {
    channelOverride: control.getChannel(),
  })
  ends = [() => control.close(), () => channel.close()]
})
afterEach(() => {
  for (const end of ends) end()
})

/** @returns the session's id */
async function openSession(options: BuildClientOptions, sharedKey = ''): Promise<string> {
  const id = `session-${++serial}`
  const methods = ['/moby.filesync.v1.FileSync/DiffCopy', '/moby.buildkit.secrets.v1.Secrets/GetSecret']
  const socket = await upgraded('/session', {
    'X-Docker-Expose-Session-Uuid': id,
    'X-Docker-Expose-Session-Grpc-Method': methods,
    'X-Docker-Expose-Session-Sharedkey': sharedKey,
  })
  const server: Server = buildClient(options)
  server.createConnectionInjector(ServerCredentials.createInsecure()).injectConnection(socket)
  ends.push(
    () => server.forceShutdown(),
    () => socket.destroy(),
  )
  return id
}

const asked = <T>(ask: (done: (error: ServiceError | null, answer: T) => void) => unknown): Promise<T> =>
  new Promise((resolve, reject) => {
    ask((error, answer) => (error ? reject(error) : resolve(answer)))
  })

const solveOf = (change: Partial<buildControl.SolveRequest>): buildControl.SolveRequest =>
  buildControl.SolveRequest.fromPartial({ ref: `ref-${++serial}`, ...change })

/** All that is told of a build until it is over. */
async function statusOf(ref: string): Promise<readonly buildStatus.StatusResponse[]> {
  const told: buildStatus.StatusResponse[] = []
  for await (const one of control.status({ ref }) as AsyncIterable<buildStatus.StatusResponse>) told.push(one)
  return told
}

/** As buildx does it: it stands in for the frontend, and has the builder's own do the work. */
async function buildAsBuildx(
  change: Partial<buildControl.SolveRequest>,
  options: Record<string, string> = {},
) {
  const wanted = solveOf(change)
  const metadata = new Metadata()
  metadata.set('buildkit-controlapi-buildid', wanted.ref)
  const solved = asked<buildControl.SolveResponse>((done) => control.solve(wanted, done))
  solved.catch(() => {})
  const told = statusOf(wanted.ref)
  await asked((done) => gateway.ping({}, metadata, done))
  const inner = buildGateway.SolveRequest.fromPartial({ frontend: 'dockerfile.v0', frontendOpt: options })
  const result = await asked<buildGateway.SolveResponse>((done) =>
    gateway.solve(inner, metadata, done),
  ).catch((error: ServiceError) => error)
  const outcome =
    'code' in result ? { error: { code: result.code, message: result.details } } : { result: result.result }
  await asked((done) => gateway.return(buildGateway.ReturnRequest.fromPartial(outcome), metadata, done))
  return { response: await solved, told: await told }
}

const moby = (name: string) => [{ type: 'moby', attrs: { name } }]
const RUN = { Dockerfile: 'FROM base:1\nCOPY file /file\nRUN cat /file\n', file: 'of the client\n' }

describe('a build', () => {
  test('by the gateway has its name, its status as it goes, and the image’s id', async () => {
    const session = await openSession({ files: RUN })
    const { response, told } = await buildAsBuildx({ session, exporters: moby('by-buildx:1') })
    const image = await host.runtime.images.get('by-buildx:1')
    expect(response.exporterResponse['containerimage.config.digest']).toBe(image.id)
    const vertices = told.flatMap(({ vertexes }) => vertexes)
    expect(vertices.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['[internal] load build context', '[stage-0 3/3] RUN cat /file']),
    )
    expect(vertices.filter(({ completed }) => completed).length).toBe(vertices.length / 2)
    expect(Buffer.concat(told.flatMap(({ logs }) => logs.map(({ msg }) => msg))).toString()).toBe(
      'of the client\n',
    )
  })

  test('without a gateway is the same', async () => {
    const session = await openSession({ files: RUN })
    const wanted = solveOf({
      session,
      frontend: 'dockerfile.v0',
      exporter: 'image',
      exporterAttrs: { name: 'direct:1' },
    })
    await asked((done) => control.solve(wanted, done))
    expect(await host.runtime.images.find('direct:1')).toBeDefined()
    // Its status may be asked for when it is over.
    expect((await statusOf(wanted.ref)).length).toBeGreaterThan(0)
  })

  test('of an archive on the client’s stdin', async () => {
    const stdin = tarOf([{ name: 'Dockerfile', body: 'FROM base:1\nRUN echo of stdin\n' }])
    const session = await openSession({ stdin })
    const { told } = await buildAsBuildx({ session }, { context: 'http://buildkit-session/stdin' })
    expect(Buffer.concat(told.flatMap(({ logs }) => logs.map(({ msg }) => msg))).toString()).toBe(
      'of stdin\n',
    )
  })

  test('from the same place as one before asks for what changed, and has what there is now', async () => {
    const Dockerfile = 'FROM base:1\nCOPY . /in\nRUN cd /in && ls && cat *\n'
    const said = async (files: Readonly<Record<string, string>>) => {
      const contents: string[] = []
      const session = await openSession(
        { files: { Dockerfile, ...files }, onContent: (path) => contents.push(path) },
        'place',
      )
      const { told } = await buildAsBuildx({ session })
      const output = Buffer.concat(told.flatMap(({ logs }) => logs.map(({ msg }) => msg))).toString()
      return {
        asked: contents.filter((path) => path !== 'Dockerfile'),
        output: output.replace(Dockerfile, ''),
      }
    }
    expect(await said({ a: '1\n', b: '2\n' })).toEqual({
      asked: ['a', 'b'],
      output: 'Dockerfile\na\nb\n1\n2\n',
    })
    expect(await said({ a: '1\n', c: 'three\n' })).toEqual({
      asked: ['c'],
      output: 'Dockerfile\na\nc\n1\nthree\n',
    })
    expect(await said({ a: 'one\n' })).toEqual({ asked: ['a'], output: 'Dockerfile\na\none\n' })
  })

  test('that fails has its words in the vertex and in the answer, and no image', async () => {
    const session = await openSession({ files: { Dockerfile: 'FROM base:1\nRUN exit 7\n' } })
    const failed = buildAsBuildx({ session, exporters: moby('failed:1') })
    await expect(failed).rejects.toMatchObject({ details: expect.stringContaining('non-zero code: 7') })
    expect(await host.runtime.images.find('failed:1')).toBeUndefined()
  })

  test('ends with its client, and nothing of it is left', async () => {
    const session = await openSession({ files: { Dockerfile: 'FROM base:1\nRUN sleep 1000\n' } })
    const wanted = solveOf({ session, frontend: 'dockerfile.v0' })
    const told = statusOf(wanted.ref)
    const call = control.solve(wanted, () => {})
    const step = control.status({ ref: wanted.ref })
    for await (const { vertexes } of step as AsyncIterable<buildStatus.StatusResponse>)
      if (vertexes.some(({ name }) => name.includes('RUN sleep'))) break
    call.cancel()
    const vertices = (await told).flatMap(({ vertexes }) => vertexes)
    expect(vertices.length).toBeGreaterThan(0)
    await until('its steps are gone', () => host.runtime.builds.cache().every(({ isInUse }) => !isInUse))
  })
})

test.each<[string, Partial<buildControl.SolveRequest>, RegExp]>([
  [
    'a graph of the client’s',
    { frontend: '', definition: { def: [Buffer.from('x')] } },
    /neither graphs of clients/,
  ],
  ['another frontend', { frontend: 'gateway.v0' }, /builds Dockerfiles/],
  [
    'another output',
    { frontend: 'dockerfile.v0', exporters: [{ type: 'local', attrs: {} }] },
    /output local is not supported/,
  ],
  [
    'a name that is none',
    { frontend: 'dockerfile.v0', exporters: moby('NOT A NAME') },
    /NOT A NAME|reference/,
  ],
  [
    'several platforms',
    { frontend: 'dockerfile.v0', frontendAttrs: { platform: 'linux/amd64,linux/arm64' } },
    /one platform/,
  ],
])('%s is refused with what is taken', async (_, change, words) => {
  const session = await openSession({ files: RUN })
  const refused = asked((done) => control.solve(solveOf({ session, ...change }), done))
  await expect(refused).rejects.toMatchObject({ details: expect.stringMatching(words) })
})

test('the one worker, what the cache holds, and what of it is taken away', async () => {
  const { record } = await asked<buildControl.ListWorkersResponse>((done) =>
    control.listWorkers({ filter: [] }, done),
  )
  expect(record).toMatchObject([{ platforms: [{ os: 'linux' }] }])
  const session = await openSession({ files: { Dockerfile: 'FROM base:1\nRUN echo cached > /c\n' } })
  await buildAsBuildx({ session })
  const usage = await asked<buildControl.DiskUsageResponse>((done) => control.diskUsage({ filter: [] }, done))
  expect(usage.record.some(({ description }) => description.includes('RUN echo cached'))).toBe(true)
  const gone: buildControl.UsageRecord[] = []
  const prune = buildControl.PruneRequest.fromPartial({ all: true })
  for await (const one of control.prune(prune) as AsyncIterable<buildControl.UsageRecord>) gone.push(one)
  expect(gone).toHaveLength(usage.record.length)
  expect(host.runtime.builds.cache()).toEqual([])
})
