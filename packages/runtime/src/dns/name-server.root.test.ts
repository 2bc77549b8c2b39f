import { execFile, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { readdirSync, readlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import { systemClock } from '@berth/core'
import dnsPacket, { type DecodedPacket, type Packet, type Question, type RecordType } from 'dns-packet'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type BareContainer, bareContainer, enterOwnNetwork } from '../testing/own-network.js'
import { until } from '../testing/until.js'
import { FrameReader, framed } from './frames.js'
import { openNameServer } from './name-server.exec.js'
import type { NameServer, Upstreams } from './name-source.js'

/** Sends one message from inside and prints the answer, which must come from where it was sent. */
const ASK = `
const [, kind, hex, ms] = process.argv
const message = Buffer.from(hex, 'hex')
const done = (answer) => { process.stdout.write(answer.toString('hex')); process.exit() }
setTimeout(() => process.exit(), Number(ms))
if (kind === 'udp') {
  const socket = require('dgram').createSocket('udp4')
  socket.on('message', (answer, from) => {
    if (from.port === 53 && from.address === '127.0.0.11') done(answer)
  })
  socket.send(message, 53, '127.0.0.11')
} else {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  const socket = require('net').connect(53, '127.0.0.11')
  let held = Buffer.alloc(0)
  socket.on('error', () => process.exit()).on('data', (data) => {
    held = Buffer.concat([held, data])
    if (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) done(held.subarray(2))
  })
  socket.write(Buffer.concat([length, message]))
}`

/** A container's own name server, at port 53 of all its addresses: one answer to everything. */
const OWN_SERVER = `
const answer = (m) => { const a = Buffer.concat([m, Buffer.from('c00c000100010000003c0004c6336407', 'hex')]); a[2] |= 0x80; a[7] = 1; return a }
const udp = require('dgram').createSocket('udp4')
udp.on('message', (m, from) => udp.send(answer(m), from.port, from.address)).bind(53, '0.0.0.0')
require('net').createServer((s) => s.on('error', () => {}).on('data', (d) => {
  const a = answer(d.subarray(2)); const l = Buffer.alloc(2); l.writeUInt16BE(a.length); s.write(Buffer.concat([l, a]))
})).listen(53, '0.0.0.0')`

type Upstreaming = (query: DecodedPacket) => Partial<Packet> | undefined

let container: BareContainer
let server: NameServer
let leave: () => void
let upstreams: Upstreams | 'none'
const closing: (() => void)[] = []
const heard: string[] = []

const CROWD = Array.from({ length: 60 }, (_, at) => `10.0.0.${at}`)
const NAMES = new Map([
  ['db', ['10.0.0.2']],
  ['crowd', CROWD],
])
const openServer = () =>
  openNameServer({
    clock: systemClock,
    names: {
      addressesOf: (_, name, family) => (NAMES.has(name) && family === 6 ? [] : NAMES.get(name)),
      nameOf: (_, ip) => (ip === '10.0.0.2' ? 'db.front' : undefined),
      upstreamsOf: () => upstreams,
    },
  })

/** A server of the host at port 53 of a loopback address. */
async function upstream(ip: string, reply: Upstreaming): Promise<void> {
  const answer = (message: Buffer): Buffer | undefined => {
    const query = dnsPacket.decode(message)
    heard.push(`${ip} ${query.questions?.[0]?.name}`)
    const change = reply(query)
    return (
      change &&
      dnsPacket.encode({
        ...{ type: 'response', id: query.id, flags: 0 },
        ...{ questions: query.questions ?? [], ...change },
      })
    )
  }
  const udp = createSocket('udp4')
  udp.on('message', (message, from) => {
    const answered = answer(message)
    if (answered) udp.send(answered, from.port, from.address)
  })
  await new Promise<void>((resolve) => udp.bind(53, ip, resolve))
  const tcp = createServer((socket) => {
    const frames = new FrameReader()
    socket.on('error', () => {})
    socket.on('data', (data: Buffer) => {
      for (const answered of frames.push(data).map(answer)) if (answered) socket.write(framed(answered))
    })
  })
  await new Promise<void>((resolve) => tcp.listen(53, ip, () => resolve()))
  closing.push(
    () => udp.close(),
    () => tcp.close(),
  )
}

const address =
  (data: string): Upstreaming =>
  ({ questions = [] }) => ({
    answers: [{ type: 'A', name: questions[0]?.name ?? '', ttl: 60, data }],
  })

async function send(kind: 'udp' | 'tcp', message: Buffer, ms = 8_000): Promise<Buffer> {
  const args = [
    '-t',
    `${container.pid}`,
    '-n',
    process.execPath,
    '-e',
    ASK,
    kind,
    message.toString('hex'),
    `${ms}`,
  ]
  const { stdout } = await promisify(execFile)('nsenter', args)
  return Buffer.from(stdout, 'hex')
}

interface Answered {
  readonly rcode: string
  readonly data: readonly unknown[]
  readonly isCutShort: boolean
}

async function ask(name: string, type: RecordType = 'A', kind: 'udp' | 'tcp' = 'udp'): Promise<Answered> {
  const id = Math.floor(Math.random() * 0xffff)
  const questions: Question[] = [{ name, type, class: 'IN' }]
  const answer = await send(
    kind,
    dnsPacket.encode({ type: 'query', id, flags: dnsPacket.RECURSION_DESIRED, questions }),
  )
  expect(answer.length, `an answer about ${name}`).toBeGreaterThan(0)
  const packet = dnsPacket.decode(answer) as DecodedPacket & { rcode: string }
  expect(packet.id).toBe(id)
  return {
    rcode: packet.rcode,
    data: (packet.answers ?? []).map((record) => ('data' in record ? record.data : undefined)),
    isCutShort: packet.flag_tc,
  }
}

beforeEach(async () => {
  leave = enterOwnNetwork()
  container = await bareContainer()
  container.run('ip', 'link', 'set', 'lo', 'up')
  upstreams = { servers: ['127.0.0.2', '127.0.0.3'], from: 'host' }
  heard.length = 0
  server = openServer()
  await server.serve('one', container.pid)
})
afterEach(async () => {
  for (const close of closing.splice(0)) close()
  await server.close()
  await container.end()
  leave()
})

describe('names of ours', () => {
  test.each(['udp', 'tcp'] as const)('are answered over %s', async (kind) => {
    expect(await ask('db', 'A', kind)).toEqual({ rcode: 'NOERROR', data: ['10.0.0.2'], isCutShort: false })
    expect(await ask('DB', 'A', kind)).toMatchObject({ data: ['10.0.0.2'] })
    expect(await ask('db', 'AAAA', kind)).toMatchObject({ rcode: 'NOERROR', data: [] })
    expect(await ask('db', 'MX', kind)).toMatchObject({ rcode: 'NOERROR', data: [] })
    expect(await ask('2.0.0.10.in-addr.arpa', 'PTR', kind)).toMatchObject({ data: ['db.front'] })
  })

  test('that are many come over TCP whole, and in a datagram as many as fit', async () => {
    const few = await ask('crowd')
    expect(few.isCutShort).toBe(true)
    expect(few.data.length).toBeGreaterThan(0)
    expect(few.data.length).toBeLessThan(CROWD.length)
    expect(await ask('crowd', 'A', 'tcp')).toEqual({ rcode: 'NOERROR', data: CROWD, isCutShort: false })
  })

  test('are answered after garbage, and garbage that has a header is refused', async () => {
    expect(await send('udp', Buffer.from('ff'), 300)).toHaveLength(0)
    expect(await send('udp', Buffer.from('0102818000010000000000000000010001', 'hex'), 300)).toHaveLength(0)
    const refused = await send('udp', Buffer.from('010201000002000000000000c00cc00c', 'hex'))
    expect(refused.readUInt16BE(2) & 0xf).toBe(1)
    const notify = await send('udp', Buffer.from('0102200000010000000000000000010001', 'hex'))
    expect(notify.readUInt16BE(2) & 0xf).toBe(4)
    expect(await ask('db')).toMatchObject({ data: ['10.0.0.2'] })
  })

  test('are answered by the next agent too, whose ports are others', async () => {
    await server.close()
    server = openServer()
    await server.serve('one', container.pid)
    await server.serve('one', container.pid)
    expect(await ask('db')).toMatchObject({ data: ['10.0.0.2'] })
    expect(await ask('db', 'A', 'tcp')).toMatchObject({ data: ['10.0.0.2'] })
  })
})

describe('other names', () => {
  test.each(['udp', 'tcp'] as const)(
    'go to the host’s resolvers over %s, and the answer comes back as it is',
    async (kind) => {
      await upstream('127.0.0.2', address('198.51.100.1'))
      expect(await ask('example.com', 'A', kind)).toMatchObject({ rcode: 'NOERROR', data: ['198.51.100.1'] })
      expect(heard).toEqual(['127.0.0.2 example.com'])
    },
  )

  test('are asked once when many ask at once, and kept for a moment', async () => {
    await upstream('127.0.0.2', address('198.51.100.1'))
    await Promise.all([1, 2, 3, 4].map(() => ask('example.com')))
    expect(heard).toEqual(['127.0.0.2 example.com'])
  })

  test('go to the next server when one says nothing, fails or is not there', async () => {
    await upstream('127.0.0.2', ({ questions }) =>
      questions?.[0]?.name === 'silent.example' ? undefined : ({ flags: 2 } as Partial<Packet>),
    )
    await upstream('127.0.0.3', address('198.51.100.3'))
    expect(await ask('failing.example')).toMatchObject({ data: ['198.51.100.3'] })
    expect(await ask('silent.example')).toMatchObject({ data: ['198.51.100.3'] })
    upstreams = { servers: ['127.0.0.9', '127.0.0.3'], from: 'host' }
    expect(await ask('nobody.example')).toMatchObject({ data: ['198.51.100.3'] })
  })

  test('fail when nobody answers', async () => {
    expect(await ask('example.com')).toMatchObject({ rcode: 'SERVFAIL', data: [] })
    upstreams = { servers: [], from: 'host' }
    expect(await ask('example.com')).toMatchObject({ rcode: 'SERVFAIL', data: [] })
  })

  test('E7: are asked of nobody by a container that is in internal networks only', async () => {
    await upstream('127.0.0.2', address('198.51.100.1'))
    upstreams = 'none'
    expect(await ask('stolen-data.example')).toMatchObject({ rcode: 'NXDOMAIN', data: [] })
    expect(await ask('9.9.9.9.in-addr.arpa', 'PTR', 'tcp')).toMatchObject({ rcode: 'NXDOMAIN' })
    expect(heard).toEqual([])
  })

  test.each(['udp', 'tcp'] as const)(
    'go to the container’s own --dns from inside over %s, which may listen at port 53 of all addresses',
    async (kind) => {
      await upstream('127.0.0.1', address('198.51.100.1'))
      container.start(process.execPath, '-e', OWN_SERVER)
      await until(
        'the own server listens',
        () => container.run('ss', '-ltunH', 'sport = :53').split('\n').length > 2,
      )
      upstreams = { servers: ['127.0.0.11', '127.0.0.1'], from: 'container' }
      expect(await ask('example.com', 'A', kind)).toMatchObject({ data: ['198.51.100.7'] })
      expect(await ask('db', 'A', kind)).toMatchObject({ data: ['10.0.0.2'] })
      expect(heard).toEqual([])
    },
  )
})

test('a namespace is let go when its container is no longer served', async () => {
  const openFiles = () => readdirSync('/proc/self/fd').length
  const other = await bareContainer()
  const before = openFiles()
  await server.serve('two', other.pid)
  expect(openFiles()).toBeGreaterThan(before)
  server.stop('two')
  await until('all descriptors are closed', () => openFiles() <= before)
  await other.end()
})

/** What they lead to: a socket has a number of its own. Those of the rules before may still be closing. */
const descriptors = (): readonly string[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return []
    }
  })

test('a namespace that cannot be served is told, and nothing is held', async () => {
  const before = descriptors()
  await expect(server.serve('three', spawnSync('true').pid)).rejects.toThrow(/ENOENT|ESRCH/)
  expect(descriptors().filter((one) => !before.includes(one))).toEqual([])
})
