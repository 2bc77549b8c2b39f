import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { silentLogger, systemClock } from '@berth/core'
import { openRuntime, type Runtime } from '@berth/runtime'
import { buildTinyImage, makeTestHost, type TestHost, until } from '@berth/runtime/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startEngineApi } from './engine-api.exec.js'

const CLIENTS = 1_000
const NEVER_READ = 100
/** More than a reader may be behind and the kernel's buffers hold, whose size is the host's, with names as long as they can be. */
const EVENTS_MAX = 8_000
const BURST = 200
const LONG_TAG = 't'.repeat(120)
const MEMORY_MORE_BYTES = 48 * 1024 * 1024

let host: TestHost
let runtime: Runtime
let api: { close(): Promise<void> }
let socketPath: string

beforeAll(async () => {
  host = makeTestHost()
  runtime = await openRuntime(host.options)
  await buildTinyImage(runtime)
  socketPath = `${host.dir}/docker.sock`
  const engine = {
    version: '0',
    compat: 'berth',
    insecureRegistries: [],
    registryMirrors: {},
    labels: [],
  } as const
  api = await startEngineApi({
    runtime,
    socket: socketPath,
    clock: systemClock,
    logger: silentLogger,
    engine,
  })
})
afterAll(async () => {
  await api.close()
  await runtime.close()
  await host.dispose()
})

interface Follower {
  readonly socket: Socket
  /** Of the events it was told. */
  count(): number
}

async function follow(reads: boolean): Promise<Follower> {
  const socket = connect(socketPath)
  await once(socket, 'connect')
  socket.on('error', () => {})
  socket.write('GET /v1.44/events HTTP/1.1\r\nHost: docker\r\n\r\n')
  await once(socket, 'readable')
  let count = 0
  let rest = ''
  if (reads)
    socket.on('data', (chunk: Buffer) => {
      const lines = `${rest}${chunk.toString('latin1')}`.split('\n')
      rest = lines.pop() ?? ''
      count += lines.filter((line) => line.includes('"Action":"tag"')).length
    })
  return { socket, count: () => count }
}

/** Sockets that the engine still holds open to clients. */
const openConnections = (): number =>
  readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .filter((line) => line.endsWith(` ${socketPath}`) && line.split(' ')[5] === '03').length

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** What is held, by both ends, since clients and engine are one process here. Buffers are given back a turn after their collection. */
const heldBytes = async (): Promise<number> => {
  collect()
  await new Promise(setImmediate)
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

test(`F38: of ${CLIENTS} clients that follow events ${NEVER_READ} never read: these are ended, the others miss nothing, memory stays bounded`, async () => {
  const followers = await Promise.all(
    Array.from({ length: CLIENTS }, (_, index) => follow(index >= NEVER_READ)),
  )
  const before = await heldBytes()
  const reading = followers.slice(NEVER_READ)
  const slow = followers.slice(0, NEVER_READ)
  let heldMost = 0
  for (let event = 1; event <= EVENTS_MAX; event++) {
    await runtime.images.tag('tiny:1', `other:${LONG_TAG}${event % 2}`)
    if (event % BURST !== 0) continue
    await until('all who read have been told', () => reading.every(({ count }) => count() === event), 60_000)
    heldMost = Math.max(heldMost, await heldBytes())
    if (openConnections() <= reading.length) break
  }
  expect(heldMost - before).toBeLessThan(MEMORY_MORE_BYTES)
  await until('those who do not read were ended', () => openConnections() <= reading.length, 10_000)
  for (const { socket } of slow) socket.destroy()
  const pong = connect(socketPath)
  pong.write('GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n')
  expect(String((await once(pong, 'data'))[0])).toMatch(/^HTTP\/1.1 200/)
  for (const { socket } of [...reading, { socket: pong }]) socket.destroy()
}, 120_000)
