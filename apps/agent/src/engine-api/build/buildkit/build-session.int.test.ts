import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { buildSecrets, fileSync, sshForward } from '@berth/proto'
import { Server, ServerCredentials, status } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AgentSockets } from './agent-sockets.exec.js'
import { BuildSession } from './build-session.grpc.js'
import { forwardToClient } from './forward-agent.grpc.js'
import { openSessionChannel } from './session-channel.exec.js'

const { Packet_PacketType: Kind, Packet } = fileSync
const NEVER = new AbortController().signal
const METHODS = [
  '/moby.filesync.v1.filesync/diffcopy',
  '/moby.filesync.v1.auth/credentials',
  '/moby.buildkit.secrets.v1.secrets/getsecret',
  '/moby.sshforward.v1.ssh/checkagent',
]

let dir: string
let client: Server
let session: BuildSession
let ends: { readonly ours: Socket; readonly theirs: Socket }
let close: () => void

/** What docker's clients serve, on a connection that they made. */
function serve(): Server {
  const server = new Server()
  server.addService(fileSync.FileSyncService, <fileSync.FileSyncServer>{
    diffCopy: (call) => {
      const { 'dir-name': name, 'exclude-patterns': excludes = '' } = call.metadata.getMap()
      if (name !== 'context')
        return call.emit('error', { code: status.NOT_FOUND, details: `no access allowed to dir "${name}"` })
      const stat = { path: `excludes ${excludes}`.trim(), mode: 0o644, size: 2n }
      call.write(Packet.fromPartial({ type: Kind.PACKET_STAT, stat }))
      call.write(Packet.fromPartial({ type: Kind.PACKET_STAT }))
      call.on('data', ({ type, id }: fileSync.Packet) => {
        if (type === Kind.PACKET_REQ) {
          call.write(Packet.fromPartial({ type: Kind.PACKET_DATA, id, data: Buffer.from('ok') }))
          call.write(Packet.fromPartial({ type: Kind.PACKET_DATA, id }))
        }
        if (type === Kind.PACKET_FIN)
          call.write(Packet.fromPartial({ type: Kind.PACKET_FIN }), () => call.end())
      })
    },
  })
  server.addService(fileSync.AuthService, <fileSync.AuthServer>{
    credentials: ({ request: { host } }, done) => {
      if (host === 'registry-1.docker.io') return done(null, { username: 'me', secret: 'word' })
      done(null, { username: '', secret: host === 'token.example.com' ? 'refresh' : '' })
    },
  })
  server.addService(buildSecrets.SecretsService, <buildSecrets.SecretsServer>{
    getSecret: ({ request: { id } }, done) =>
      id === 'known'
        ? done(null, { data: Buffer.from('value') })
        : done({ code: status.NOT_FOUND, details: 'no' }),
  })
  server.addService(sshForward.SSHService, <sshForward.SSHServer>{
    checkAgent: ({ request: { id } }, done) =>
      id === 'default' ? done(null, {}) : done({ code: status.UNKNOWN, details: 'no' }),
    forwardAgent: (call) => {
      const id = String(call.metadata.get('buildkit.ssh.id')[0])
      call.on('data', ({ data }: sshForward.BytesMessage) =>
        call.write({ data: Buffer.from(`${id} said ${Buffer.from(data)}`) }),
      )
      call.on('end', () => call.end())
    },
  })
  return server
}

beforeEach(async () => {
  dir = mkdtempSync(`${tmpdir()}/berth-test-`)
  const listening = createServer().listen(`${dir}/engine`)
  await once(listening, 'listening')
  const theirs = connect(`${dir}/engine`)
  const [ours] = (await once(listening, 'connection')) as [Socket]
  listening.close()
  ends = { ours, theirs }
  client = serve()
  client.createConnectionInjector(ServerCredentials.createInsecure()).injectConnection(theirs)
  const channel = await openSessionChannel(ours)
  session = new BuildSession(channel.address, new Set(METHODS))
  close = () => {
    session.close()
    channel.close()
  }
})
afterEach(() => {
  close()
  client.forceShutdown()
  ends.theirs.destroy()
  rmSync(dir, { recursive: true })
})

async function textOf(archive: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const part of archive) parts.push(part)
  return Buffer.concat(parts).toString('latin1')
}

describe('files', () => {
  test('come as an archive, with what is left out told to the client', async () => {
    const text = await textOf(session.archive({ dir: 'context', excludes: ['*.log', 'größe'] }, NEVER))
    expect(text).toContain('excludes *.log, gr%C3%B6%C3%9Fe')
    expect(text).toContain('ok')
  })

  test('of a directory that the client does not lend are refused in its words', async () => {
    await expect(textOf(session.archive({ dir: '/etc' }, NEVER))).rejects.toMatchObject({
      code: 'build.session_missing',
      message: expect.stringContaining('no access allowed'),
    })
  })

  test('end with an error when the client leaves in the middle', async () => {
    const archive = session.archive({ dir: 'context' }, NEVER)
    await archive.next()
    ends.theirs.destroy()
    await expect(textOf(archive)).rejects.toMatchObject({ code: expect.stringMatching(/^build\.session_/) })
  })

  test('end with the reason when the build is given up', async () => {
    const stop = new AbortController()
    const archive = session.archive({ dir: 'context' }, stop.signal)
    await archive.next()
    stop.abort(new Error('given up'))
    await expect(textOf(archive)).rejects.toThrow('given up')
  })
})

test('credentials are those of the host, a refresh token without a name, or none', async () => {
  expect(await session.credentials('docker.io')).toEqual({ username: 'me', password: 'word' })
  expect(await session.credentials('token.example.com')).toEqual({ identityToken: 'refresh' })
  expect(await session.credentials('other.example.com')).toBeUndefined()
})

test('a secret is its bytes, or none', async () => {
  expect(String(await session.secret('known'))).toBe('value')
  expect(await session.secret('other')).toBeUndefined()
})

test('an agent is reached through a socket, which goes with the build', async () => {
  expect(await session.hasAgent('default')).toBe(true)
  expect(await session.hasAgent('other')).toBe(false)
  const sockets = new AgentSockets((id, connection) => forwardToClient(session.agents, id, connection))
  const path = await sockets.pathOf('default')
  expect(await sockets.pathOf('default')).toBe(path)
  const program = connect(path)
  program.write('sign this')
  expect(String((await once(program, 'data'))[0])).toBe('default said sign this')
  sockets.close()
  await once(program, 'close')
  await expect(once(connect(path), 'connect')).rejects.toThrow(/ENOENT/)
})

test('what a client does not serve is not asked for', async () => {
  const bare = new BuildSession('unix:/none', new Set())
  expect(await bare.credentials('docker.io')).toBeUndefined()
  expect(await bare.secret('known')).toBeUndefined()
  expect(await bare.hasAgent('default')).toBe(false)
  bare.close()
})

test('nothing of a session that ended is left', async () => {
  const before = readdirSync(tmpdir()).filter((name) => name.startsWith('berth-session-'))
  close()
  const after = readdirSync(tmpdir()).filter((name) => name.startsWith('berth-session-'))
  expect(after.length).toBeLessThanOrEqual(before.length)
})
