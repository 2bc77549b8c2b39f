import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { type Server, ServerCredentials } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { buildClient } from '../../../testing/build-client.js'
import { AgentSockets } from './agent-sockets.exec.js'
import { BuildSession } from './build-session.grpc.js'
import { forwardToClient } from './forward-agent.grpc.js'
import { PrivateDirectories } from './private-directory.exec.js'
import { openSessionChannel } from './session-channel.exec.js'

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
let asked: Readonly<Record<string, unknown>>[]
let ends: { readonly ours: Socket; readonly theirs: Socket }
let close: () => void

beforeEach(async () => {
  dir = mkdtempSync(`${tmpdir()}/berth-test-`)
  const listening = createServer().listen(`${dir}/engine`)
  await once(listening, 'listening')
  const theirs = connect(`${dir}/engine`)
  const [ours] = (await once(listening, 'connection')) as [Socket]
  listening.close()
  ends = { ours, theirs }
  asked = []
  client = buildClient({
    files: { a: 'ok', 'b.log': 'left out' },
    stdin: Buffer.from('an archive'),
    onFiles: (metadata) => asked.push(metadata),
  })
  client.createConnectionInjector(ServerCredentials.createInsecure()).injectConnection(theirs)
  const channel = await openSessionChannel(ours, mkdtempSync(`${dir}/channel-`))
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
    const text = await textOf(session.archive({ dir: 'context', excludes: ['b.log'] }, NEVER))
    expect(text).toContain('ok')
    expect(text).not.toContain('b.log')
    expect(asked[0]).toMatchObject({ 'dir-name': 'context', 'exclude-patterns': 'b.log' })
    expect(asked[0]).not.toHaveProperty('exclude-patterns-encoded')
  })

  test('whose names are not ASCII are told in escapes, and so is that', async () => {
    await textOf(session.archive({ dir: 'context', excludes: ['größe'] }, NEVER))
    expect(asked[0]).toMatchObject({ 'exclude-patterns': 'gr%C3%B6%C3%9Fe', 'exclude-patterns-encoded': '1' })
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

test('what is on the client’s stdin is at the address it gave, and nowhere else', async () => {
  expect(await textOf(session.uploaded(new URL('http://buildkit-session/stdin'), NEVER))).toBe('an archive')
  await expect(
    textOf(session.uploaded(new URL('http://buildkit-session/other'), NEVER)),
  ).rejects.toMatchObject({
    code: 'build.session_missing',
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
  const sockets = new AgentSockets(
    () => mkdtempSync(`${dir}/agents-`),
    (id, connection) => forwardToClient(session.agents, id, connection),
  )
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
  await session.secret('known')
  close()
  expect(readdirSync(dir).filter((name) => name.startsWith('channel-'))).toEqual([])
})

test('what a killed agent left beside its socket goes, and nothing else', () => {
  for (const name of ['d.sock.build-abc', 'd.sock.build-def', 'other.sock.build-abc', 'd.sock-build'])
    mkdirSync(`${dir}/${name}`)
  const directories = new PrivateDirectories(`${dir}/d.sock`)
  directories.recover()
  expect(readdirSync(dir).sort()).toEqual(expect.arrayContaining(['d.sock-build', 'other.sock.build-abc']))
  expect(readdirSync(dir).some((name) => name.startsWith('d.sock.build-'))).toBe(false)
  expect(statSync(directories.make()).mode & 0o777).toBe(0o700)
})
