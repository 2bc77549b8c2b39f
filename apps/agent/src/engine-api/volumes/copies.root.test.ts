import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { buffer, text } from 'node:stream/consumers'
import { silentLogger, systemClock } from '@berth/core'
import { openTestRuntime, type TestRuntime } from '@berth/runtime/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startEngineApi } from '../engine-api.exec.js'

let host: TestRuntime
let api: { close(): Promise<void> }
let socketPath: string
const MIB = 1024 * 1024

beforeEach(async () => {
  host = await openTestRuntime()
  socketPath = `${host.options.runRoot}/docker.sock`
  const engine = {
    ...{ version: '0', compat: 'docker' as const, insecureRegistries: [], registryMirrors: {}, labels: [] },
  }
  api = await startEngineApi({
    ...{ runtime: host.runtime, socket: socketPath, clock: systemClock, logger: silentLogger, engine },
  })
})
afterEach(async () => {
  await api.close()
  await host.dispose()
})

function send(method: string, path: string, body: Buffer | string = ''): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
    const sent = request({ socketPath, method, path, headers, agent: false }, resolve)
    sent.once('error', reject)
    sent.end(body)
  })
}

async function ask(method: string, path: string, body?: Buffer | string) {
  const answer = await send(method, path, body)
  const said = await text(answer)
  return { status: answer.statusCode, body: said === '' ? undefined : JSON.parse(said) }
}

async function makeVolume(bytes: number): Promise<string> {
  await ask('POST', '/v1.44/volumes/create', JSON.stringify({ Name: 'data', Labels: { a: 'b' } }))
  const { mountpoint } = await host.runtime.volumes.get('data')
  writeFileSync(`${mountpoint}/f`, Buffer.alloc(bytes, 'x'))
  return mountpoint
}

describe('volumes under /berth', () => {
  test('a volume is exported, imported and cloned through the socket', async () => {
    await makeVolume(5 * MIB)
    const exported = await send('GET', '/berth/volumes/data/export')
    expect(exported.headers).toMatchObject({
      'content-type': 'application/vnd.berth.volume-export',
      'x-berth-export': expect.stringMatching(/^[0-9a-f]{32}$/),
    })
    const bytes = await buffer(exported)
    const made = await ask('POST', '/berth/volumes/back/import', bytes)
    expect(made).toMatchObject({ status: 201, body: { Name: 'back', Driver: 'local', Labels: { a: 'b' } } })
    const cloned = await ask('POST', '/berth/volumes/data/clone?name=copy')
    expect(cloned).toMatchObject({ status: 201, body: { Name: 'copy' } })
    for (const { Mountpoint } of [made.body, cloned.body])
      expect(readFileSync(`${Mountpoint}/f`).equals(Buffer.alloc(5 * MIB, 'x'))).toBe(true)
  })

  test('an import that was cut off says how far it has come, and goes on there', async () => {
    await makeVolume(10 * MIB)
    const first = await send('GET', '/berth/volumes/data/export?keep=1')
    const id = String(first.headers['x-berth-export'])
    const bytes = await buffer(first)
    const cut = await ask('POST', '/berth/volumes/back/import', bytes.subarray(0, 6 * MIB))
    expect(cut).toMatchObject({ status: 503, body: { message: expect.stringContaining('before chunk 1') } })
    const progress = await ask('GET', '/berth/volumes/back/import')
    expect(progress.body).toEqual({ Export: id, NextChunk: 1 })
    const rest = await buffer(await send('GET', `/berth/volumes/data/export?id=${id}&from=1`))
    expect((await ask('POST', '/berth/volumes/back/import', rest)).status).toBe(201)
    expect((await ask('GET', '/berth/volumes/back/import')).body).toBeNull()
  })

  test.each([
    ['GET', '/berth/volumes/nobody/export', 404],
    ['GET', `/berth/volumes/data/export?id=${'0'.repeat(32)}`, 404],
    ['GET', '/berth/volumes/data/export?id=../../x', 404],
    ['GET', '/berth/volumes/data/export?from=-1', 400],
    ['GET', '/berth/volumes/data/export?consistency=perhaps', 400],
    ['POST', '/berth/volumes/data/clone', 400],
    ['POST', '/berth/volumes/data/clone?name=..%2Fx', 400],
    ['POST', '/berth/volumes/nobody/clone?name=new', 404],
    ['POST', '/berth/volumes/new/import', 400],
    ['POST', '/berth/volumes/..%2Fx/import', 400],
    ['GET', '/berth/volumes/..%2Fx/import', 400],
    ['DELETE', '/berth/volumes/new/import', 204],
    ['DELETE', '/berth/volumes/data/export?id=..%2F..', 204],
  ])('%s %s is answered with %i', async (method, path, status) => {
    await makeVolume(10)
    expect((await ask(method, path)).status).toBe(status)
    expect((await host.runtime.volumes.list()).map(({ name }) => name)).toEqual(['data'])
  })
})

test('E14: plugins cannot be installed, enabled or configured through the socket', async () => {
  for (const [method, path] of [
    ['POST', '/plugins/pull?remote=x'],
    ['POST', '/plugins/create?name=x'],
    ['POST', '/plugins/x/enable'],
    ['POST', '/plugins/x/disable'],
    ['POST', '/plugins/x/upgrade?remote=x'],
    ['POST', '/plugins/x/set'],
    ['POST', '/plugins/x/push'],
    ['DELETE', '/plugins/x'],
    ['GET', '/plugins/privileges?remote=x'],
    ['GET', '/plugins/x/json'],
  ] as const)
    expect([path, (await ask(method, path)).status]).toEqual([path, 404])
  expect((await ask('GET', '/plugins')).body).toEqual([])
})

test('E5: a bind of the engine’s socket is given and warned of, one of its data is refused', async () => {
  const { root, runRoot } = host.options
  const image = await host.runtime.images.import(tiny(), { reference: 'tiny:1' })
  expect(image.id).toBeTruthy()
  symlinkSync(socketPath, `${host.dir}/alias.sock`)
  const create = (bind: string) =>
    ask(
      'POST',
      '/v1.44/containers/create',
      JSON.stringify({ Image: 'tiny:1', Cmd: ['x'], HostConfig: { Binds: [bind], NetworkMode: 'none' } }),
    )
  for (const source of [socketPath, `${host.dir}/alias.sock`]) {
    const { status, body } = await create(`${source}:/var/run/docker.sock`)
    expect([status, body.Warnings]).toEqual([201, [expect.stringContaining("is the engine's socket")]])
  }
  const above = await create(`${host.dir}:/host`)
  expect([above.status, above.body.Warnings]).toEqual([
    201,
    [expect.stringContaining(`contains ${root} and ${runRoot}`)],
  ])
  for (const source of [root, `${root}/volumes`, runRoot]) {
    const { status, body } = await create(`${source}:/x`)
    expect([status, body.message]).toEqual([400, expect.stringContaining("is the runtime's own")])
  }
})

async function* tiny(): AsyncGenerator<Buffer> {
  const { tarOf } = await import('@berth/runtime/testing')
  yield tarOf([{ name: 'etc', type: 'directory' }])
}
