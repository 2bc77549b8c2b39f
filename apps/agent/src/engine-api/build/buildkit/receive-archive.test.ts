import { Fault } from '@berth/core'
import { fileSync } from '@berth/proto'
import { ARCHIVE_END, encodeEntry, paddingOf } from '@berth/runtime'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Listing, type PacketStream, receiveArchive } from './receive-archive.js'

const { Packet_PacketType: Kind, Packet } = fileSync
type Packet = fileSync.Packet
const DIRECTORY = 2 ** 31
const SYMLINK = 2 ** 27

interface File {
  readonly path: string
  readonly body: Buffer
}

const statOf = (change: Partial<fileSync.Stat>): Packet =>
  Packet.fromPartial({ type: Kind.PACKET_STAT, stat: { mode: 0o644, ...change } })
const fileOf = ({ path, body }: File, sizeBytes = body.length): Packet =>
  statOf({ path, size: BigInt(sizeBytes) })
const END = Packet.fromPartial({ type: Kind.PACKET_STAT })

/** A client as docker's are: tells all it has, then sends what it is asked for, the last asked first, in small pieces. */
class TestClient implements PacketStream {
  readonly asked: number[] = []
  private readonly open: Packet[] = []
  private readonly wanted: number[] = []

  constructor(
    stats: readonly Packet[],
    private readonly bodies: ReadonlyMap<number, Buffer>,
  ) {
    this.open.push(...stats, END)
  }

  write({ type, id }: Packet): void {
    if (type === Kind.PACKET_FIN) this.open.push(Packet.fromPartial({ type: Kind.PACKET_FIN }))
    if (type !== Kind.PACKET_REQ) return
    this.asked.push(id)
    this.wanted.unshift(id)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Packet> {
    for (;;) {
      for (let packet = this.open.shift(); packet; packet = this.open.shift()) yield packet
      const id = this.wanted.shift()
      if (id === undefined) return
      const body = this.bodies.get(id) ?? Buffer.alloc(0)
      for (let at = 0; at < body.length; at += 7)
        yield Packet.fromPartial({ type: Kind.PACKET_DATA, id, data: body.subarray(at, at + 7) })
      yield Packet.fromPartial({ type: Kind.PACKET_DATA, id })
    }
  }
}

async function receive(stream: PacketStream): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of receiveArchive(stream)) parts.push(part)
  return Buffer.concat(parts)
}

const common = { uid: 0, gid: 0, mtimeSeconds: 0, xattrs: [] }
const ROOT = encodeEntry({ ...common, name: './', type: 'directory', mode: 0o755, sizeBytes: 0 })

const expected = (files: readonly File[]): Buffer =>
  Buffer.concat([
    ROOT,
    ...files.flatMap(({ path, body }) => [
      encodeEntry({ ...common, name: path, type: 'file', mode: 0o644, sizeBytes: body.length }),
      body,
      Buffer.alloc(paddingOf(body.length)),
    ]),
    ARCHIVE_END,
  ])

const clientOf = (files: readonly File[]) =>
  new TestClient(
    files.map((file) => fileOf(file)),
    new Map(files.map(({ body }, id) => [id, body])),
  )

test('whatever files there are, and in whatever order their contents come, the archive has them in theirs', async () => {
  const body = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))
  const files = fc
    .array(body, { maxLength: 200 })
    .map((bodies) => bodies.map((one, at) => ({ path: `f${at}`, body: one })))
  await fc.assert(
    fc.asyncProperty(files, async (all) => {
      const client = clientOf(all)
      expect((await receive(client)).equals(expected(all))).toBe(true)
      expect(client.asked).toEqual(all.flatMap(({ body: one }, id) => (one.length > 0 ? [id] : [])))
    }),
    { numRuns: 200 },
  )
})

test('what is known need not come: neither its entry nor its content', async () => {
  const files = ['a', 'b', 'c'].map((path) => ({ path, body: Buffer.from(path) }))
  const client = clientOf(files)
  const parts: Uint8Array[] = []
  let told: readonly string[] = []
  const compare = (listing: Listing) => {
    told = [...listing.keys()]
    return (path: string) => path !== 'b'
  }
  for await (const part of receiveArchive(client, compare)) parts.push(part)
  expect(told).toEqual(['a', 'b', 'c'])
  expect(Buffer.concat(parts).equals(expected(files.slice(1, 2)))).toBe(true)
  expect(client.asked).toEqual([1])
})

test('of a large file nothing is asked ahead that would have to be held', async () => {
  const large = { path: 'large', body: Buffer.alloc(6 * 1024 * 1024, 1) }
  const small = { path: 'small', body: Buffer.from('s') }
  const client = new TestClient(
    [fileOf(small), fileOf(large), fileOf(small)],
    new Map([
      [0, small.body],
      [1, large.body],
      [2, small.body],
    ]),
  )
  const archive = receiveArchive(client)
  await archive.next()
  await archive.next()
  await archive.next()
  expect(client.asked).toEqual([0])
  await archive.return(undefined)
})

test('kinds, links and modes are those of the client', async () => {
  const archive = await receive(
    new TestClient(
      [
        statOf({ path: 'd', mode: DIRECTORY + 0o755 }),
        statOf({ path: 'd/link', mode: SYMLINK + 0o777, linkname: '../x' }),
        statOf({ path: 'tool', mode: 0o755 + 2 ** 23, size: 0n, modTime: 5_000_000_000n, uid: 7, gid: 8 }),
        statOf({ path: 'twin', linkname: 'tool', size: 0n }),
        statOf({ path: 'socket', mode: 2 ** 24 }),
      ],
      new Map(),
    ),
  )
  expect(archive.includes('socket')).toBe(false)
  expect(archive.includes('d/link')).toBe(true)
  expect(archive.includes('../x')).toBe(true)
  expect(archive.includes('0004755')).toBe(true)
})

describe('a client that lies is refused', () => {
  const small = { path: 'a', body: Buffer.from('abc') }
  test.each(['../a', '/a', 'a/../../b', 'a//b', '', '.', 'a/.', 'a\0b'])('a path %j', async (path) => {
    await expect(receive(new TestClient([statOf({ path })], new Map()))).rejects.toMatchObject({
      code: 'build.session_invalid',
    })
  })

  test.each([
    ['less', 9],
    ['more', 2],
  ])('%s content than it told', async (_, sizeBytes) => {
    const client = new TestClient([fileOf(small, sizeBytes)], new Map([[0, small.body]]))
    await expect(receive(client)).rejects.toMatchObject({ code: 'build.context_changed' })
  })

  test('its own error is told in its words', async () => {
    const error = Packet.fromPartial({ type: Kind.PACKET_ERR, data: Buffer.from('permission denied') })
    await expect(receive(new TestClient([error], new Map()))).rejects.toThrow(/permission denied/)
  })

  test('fuzz: any packets are an archive or refused with a code', async () => {
    const packet = fc.record({
      type: fc.integer({ min: 0, max: 5 }),
      id: fc.integer({ min: 0, max: 4 }),
      data: fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
      stat: fc.option(
        fc.record({
          path: fc.oneof(fc.constantFrom('a', 'b', 'd/e', '..', 'a/../..'), fc.string({ maxLength: 6 })),
          mode: fc.constantFrom(0o644, DIRECTORY, SYMLINK, 2 ** 32 - 1, 0),
          size: fc.bigInt({ min: -1n, max: 5n }),
          linkname: fc.constantFrom('', 'a', '/etc/passwd'),
          modTime: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        }),
        { nil: undefined },
      ),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(packet, { maxLength: 12 }), async (packets) => {
        const stream: PacketStream = {
          write: () => {},
          async *[Symbol.asyncIterator]() {
            for (const one of packets) yield Packet.fromPartial(one as Partial<Packet>)
          },
        }
        try {
          await receive(stream)
        } catch (error) {
          expect(Fault.is(error) && error.code).toMatch(/^build\.(session_invalid|context_changed)$/)
        }
      }),
      { numRuns: 50_000 },
    )
  }, 120_000)
})
