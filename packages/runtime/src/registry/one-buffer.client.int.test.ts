import { createHash, randomBytes } from 'node:crypto'
import { Agent, createServer, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readIntoOneBuffer } from './one-buffer.client.js'

const BODY = randomBytes(8 * 1024 ** 2)
const server = createServer((_request, response) => response.end(BODY))
const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
let agent: Agent

beforeEach(async () => {
  agent = readIntoOneBuffer(new Agent({ keepAlive: true, maxSockets: 1 }))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})

afterEach(async () => {
  agent.destroy()
  await new Promise((resolve) => server.close(resolve))
})

const ask = (): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const { port } = server.address() as AddressInfo
    get({ host: '127.0.0.1', port, agent }, resolve).on('error', reject)
  })

test('a reader that is slower than the network gets every byte, on a used connection too', async () => {
  for (const isReused of [false, true]) {
    const response = await ask()
    expect((response as IncomingMessage & { req: { reusedSocket: boolean } }).req.reusedSocket).toBe(isReused)
    const chunks: Buffer[] = []
    for await (const chunk of response) {
      chunks.push(chunk)
      if (chunks.length % 8 === 0) await turn()
    }
    expect(digestOf(Buffer.concat(chunks))).toBe(digestOf(BODY))
    await turn()
  }
})

test('all reads of a connection land in the same memory, and no piece of the body lies there', async () => {
  const response = await ask()
  const read = new Set<ArrayBufferLike>()
  const given = new Set<ArrayBufferLike>()
  response.socket.on('data', ({ buffer }: Buffer) => read.add(buffer))
  for await (const chunk of response) given.add((chunk as Buffer).buffer)
  expect(read.size).toBe(1)
  expect([...read].some((buffer) => given.has(buffer))).toBe(false)
})
