import type { ServerMessage } from '@berth/domain'
import { afterAll, beforeAll, expect, test } from 'vitest'
import WebSocket from 'ws'
import { aServing, pushTinyImage, type ServingFixture } from '../testing/serving.js'

let control: ServingFixture
beforeAll(async () => {
  control = await aServing()
  await pushTinyImage(control, 'demo/web', '1')
})
afterAll(() => control.dispose())

const ticket = async (): Promise<string> =>
  ((await (await control.call('POST', '/ws-tickets', {})).json()) as { ticket: string }).ticket

interface Page {
  readonly socket: WebSocket
  readonly messages: ServerMessage[]
  /** Resolves with the first message, past or to come, that matches. */
  wait(matches: (message: ServerMessage) => boolean): Promise<ServerMessage>
}

function open(secret: string, options: { origin?: string; secure?: boolean } = {}): Page {
  const { http, https } = control.config
  const base = options.secure ? `wss://127.0.0.1:${https?.port}` : `ws://127.0.0.1:${http.port}`
  const socket = new WebSocket(`${base}/ws?ticket=${secret}`, {
    rejectUnauthorized: false,
    ...(options.origin ? { origin: options.origin } : {}),
  })
  const messages: ServerMessage[] = []
  const waiting = new Set<() => void>()
  socket.on('message', (data) => {
    messages.push(JSON.parse(String(data)) as ServerMessage)
    for (const look of waiting) look()
  })
  const wait = (matches: (message: ServerMessage) => boolean) =>
    new Promise<ServerMessage>((resolve) => {
      const look = () => {
        const found = messages.find(matches)
        if (!found) return
        waiting.delete(look)
        resolve(found)
      }
      waiting.add(look)
      look()
    })
  return { socket, messages, wait }
}

const closed = (socket: WebSocket): Promise<number> => new Promise((resolve) => socket.once('close', resolve))
const say = (page: Page, message: object) => page.socket.send(JSON.stringify(message))

test('a ticket opens one socket once; none, a forged one and a page from elsewhere are turned away', async () => {
  const secret = await ticket()
  const page = open(secret)
  await page.wait((message) => message.type === 'hello')
  expect(await closed(open(secret).socket)).toBe(4401)
  expect(await closed(open('').socket)).toBe(4401)
  expect(await closed(open(`${secret.split('.')[0]}.forged`).socket)).toBe(4401)
  expect(await closed(open(await ticket(), { origin: 'https://evil.example' }).socket)).toBe(4401)
  page.socket.close()
})

test('a page that follows services gets each change whole, also over TLS', async () => {
  for (const secure of [false, true]) {
    const page = open(await ticket(), { secure })
    await page.wait((message) => message.type === 'hello')
    say(page, { type: 'subscribe', topic: 'services' })
    say(page, { type: 'ping' })
    await page.wait((message) => message.type === 'pong')
    const name = secure ? 'tls' : 'plain'
    await control.call('POST', '/services', { name, task: { image: 'berth.internal/demo/web:1' } })
    const itemOf = (message: ServerMessage) =>
      message.type === 'changed' && message.topic === 'services'
        ? message.items.find((item) => (item as { name: string }).name === name)
        : undefined
    // The service of the round before may change meanwhile.
    const change = await page.wait((message) => itemOf(message) !== undefined)
    expect(itemOf(change)).toMatchObject({ name, status: { desired: 1 } })
    page.socket.close()
  }
})

test('many changes arrive as few messages', async () => {
  const page = open(await ticket())
  await page.wait((message) => message.type === 'hello')
  say(page, { type: 'subscribe', topic: 'services' })
  await control.call('POST', '/services', { name: 'busy', task: { image: 'berth.internal/demo/web:1' } })
  for (let replicas = 0; replicas < 30; replicas++)
    await control.call('POST', '/services/busy/scale', { replicas })
  await page.wait(
    (message) =>
      message.type === 'changed' &&
      message.items.some((item) => (item as { spec: { replicas: number } }).spec.replicas === 29),
  )
  expect(page.messages.filter((message) => message.type === 'changed').length).toBeLessThan(15)
  page.socket.close()
})

test('a frame that is no message of ours is answered and costs nothing; the log of an unknown service ends with its code', async () => {
  const page = open(await ticket())
  await page.wait((message) => message.type === 'hello')
  page.socket.send('{not json')
  say(page, { type: 'subscribe', topic: 'secrets' })
  await page.wait((message) => message.type === 'error')
  say(page, { type: 'logs.open', stream: 'one', service: 'nothing' })
  expect(await page.wait((message) => message.type === 'logs.end')).toMatchObject({
    stream: 'one',
    code: 'service.not_found',
  })
  say(page, { type: 'ping' })
  await page.wait((message) => message.type === 'pong')
  page.socket.close()
})
