import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { systemClock } from '@berth/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { untilQuiet } from './quiet-ports.exec.js'

let server: Server
let client: Socket
let port: number
beforeEach(async () => {
  server = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
  client = connect(port, '127.0.0.1')
  await once(client, 'connect')
})
afterEach(() => {
  client.destroy()
  server.close()
})

const wait = (withinMs: number, signal = new AbortController().signal) =>
  untilQuiet({ pid: process.pid, ports: [port], withinMs }, systemClock, signal)

test('a connection that is used is waited for to its end', async () => {
  let isOver = false
  const waiting = wait(60_000).then(() => {
    isOver = true
  })
  // Longer than the moment of quiet that an idle port is given.
  await untilQuiet(
    { pid: process.pid, ports: [port], withinMs: 300 },
    systemClock,
    new AbortController().signal,
  )
  expect(isOver).toBe(false)
  client.destroy()
  await waiting
})

test('one that is kept open is waited for no longer than was said', async () => {
  await wait(200)
  expect(client.readyState).toBe('open')
})

test('somebody who wants it gone at once ends the wait', async () => {
  await expect(wait(60_000, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
})

test('a process that has ended, and a container without ports, are not waited for', async () => {
  const never = new AbortController().signal
  await untilQuiet({ pid: 2 ** 30, ports: [port], withinMs: 60_000 }, systemClock, never)
  await untilQuiet({ pid: process.pid, ports: [], withinMs: 60_000 }, systemClock, never)
})
