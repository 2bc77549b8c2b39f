import { createServer } from 'node:net'
import { connect } from 'node:tls'
import { silentLogger, TestClock } from '@berth/core'
import { HostServiceClient, type ListImagesResponse } from '@berth/proto'
import type { Runtime } from '@berth/runtime'
import { until } from '@berth/runtime/testing'
import { ChannelCredentials, Metadata, type Server, type ServiceError, status } from '@grpc/grpc-js'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createAuthority, type TestAuthority, type TestIdentity } from '../testing/test-authority.js'
import { openTestControlPlane, type TestControlPlane } from '../testing/test-control-plane.js'
import { openTestMember, type TestMember } from '../testing/test-member.js'
import { startHostServer } from './host-server.grpc.js'

let authority: TestAuthority
let plane: TestControlPlane
let member: TestMember
let server: Server
let endpoint = ''

/** Who may call is asked before what is on the host: an empty host will do. */
const emptyHost = {
  images: { list: async () => [], remove: async () => {} },
  containers: { list: async () => [] },
} as unknown as Runtime

beforeEach(async () => {
  authority = await createAuthority()
  plane = await openTestControlPlane(authority)
  member = await openTestMember(authority, plane.endpoint)
  const port = await freePort()
  endpoint = `127.0.0.1:${port}`
  server = await startHostServer({
    listen: endpoint,
    identity: member.identity,
    runtime: emptyHost,
    logger: silentLogger,
  })
})
afterEach(() => {
  server.forceShutdown()
  plane.dispose()
  member.dispose()
})

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}

const credentialsOf = ({ caPem, keyPem, certificatePem }: TestIdentity): ChannelCredentials =>
  ChannelCredentials.createSsl(Buffer.from(caPem), Buffer.from(keyPem), Buffer.from(certificatePem))

/** One call on a connection of its own. */
async function call<T>(
  credentials: ChannelCredentials,
  method: (client: HostServiceClient, done: (error: ServiceError | null, response: T) => void) => unknown,
): Promise<T> {
  const client = new HostServiceClient(endpoint, credentials, {
    'grpc.ssl_target_name_override': 'node-1.node.berth.internal',
    'grpc.use_local_subchannel_pool': 1,
  })
  try {
    return await new Promise((resolve, reject) => {
      method(client, (error, response) => (error ? reject(error) : resolve(response)))
    })
  } finally {
    client.close()
  }
}

const deadline = () => ({ deadline: Date.now() + 5_000 })
const listImages = (credentials: ChannelCredentials) =>
  call<ListImagesResponse>(credentials, (client, done) =>
    client.listImages({}, new Metadata(), deadline(), done),
  )
const readLogs = (credentials: ChannelCredentials) =>
  call<number>(credentials, (client, done) => {
    let lines = 0
    client
      .logs({ taskId: 't', follow: false, tail: 0, sinceMs: 0n }, new Metadata(), deadline())
      .on('data', () => lines++)
      .on('error', (error: ServiceError) => done(error, 0))
      .on('end', () => done(null, lines))
  })

test('the control plane is let in', async () => {
  const credentials = credentialsOf(await authority.issue('control-plane', 'control-plane'))
  await expect(listImages(credentials)).resolves.toEqual({ images: [] })
  await expect(readLogs(credentials)).rejects.toMatchObject({
    code: status.NOT_FOUND,
    details: expect.stringContaining('task.no_container: task t '),
  })
})

test('a node of the cluster is refused, for single answers and for streams', async () => {
  const credentials = credentialsOf(await authority.issue('node-2', 'node'))
  const refused = {
    code: status.PERMISSION_DENIED,
    details: expect.stringContaining('auth.control_plane_required'),
  }
  await expect(listImages(credentials)).rejects.toMatchObject(refused)
  await expect(readLogs(credentials)).rejects.toMatchObject(refused)
})

test('a node that calls itself control-plane is a node', async () => {
  const credentials = credentialsOf(await authority.issue('control-plane', 'node'))
  await expect(listImages(credentials)).rejects.toMatchObject({ code: status.PERMISSION_DENIED })
})

test('a control plane of another cluster does not get through TLS', async () => {
  const other = await createAuthority()
  const forged = { ...(await other.issue('control-plane', 'control-plane')), caPem: authority.caPem }
  await expect(listImages(credentialsOf(forged))).rejects.toMatchObject({ code: status.UNAVAILABLE })
})

test('a caller without a certificate does not get through TLS', async () => {
  const bare = ChannelCredentials.createSsl(Buffer.from(authority.caPem))
  await expect(listImages(bare)).rejects.toMatchObject({ code: status.UNAVAILABLE })
})

test('a caller that does not trust this cluster does not speak to the host', async () => {
  const other = await createAuthority()
  const caller = { ...(await authority.issue('control-plane', 'control-plane')), caPem: other.caPem }
  await expect(listImages(credentialsOf(caller))).rejects.toMatchObject({ code: status.UNAVAILABLE })
})

test('an address that is taken is told with the setting to change', async () => {
  const again = startHostServer({
    listen: endpoint,
    identity: member.identity,
    runtime: emptyHost,
    logger: silentLogger,
  })
  await expect(again).rejects.toMatchObject({
    code: 'config.listen_failed',
    message: expect.stringContaining('BERTH_AGENT_LISTEN'),
  })
})

test('a renewed certificate is shown to new connections without a restart', async () => {
  const credentials = credentialsOf(await authority.issue('control-plane', 'control-plane'))
  await listImages(credentials)
  const clock = new TestClock(Date.now())
  const stop = new AbortController()
  const before = member.identity.current
  const running = member.identity.run(clock, silentLogger, stop.signal)
  await clock.advance(24 * 3_600_000)
  await until('it was renewed', () => member.identity.current !== before)
  stop.abort()
  await running
  const own = await authority.issue('control-plane', 'control-plane')
  const shown = () =>
    new Promise<string>((resolve, reject) => {
      const [host, port] = endpoint.split(':')
      const servername = 'node-1.node.berth.internal'
      const ends = {
        ca: own.caPem,
        cert: own.certificatePem,
        key: own.keyPem,
        servername,
        ALPNProtocols: ['h2'],
      }
      const socket = connect({ host, port: Number(port), ...ends }, () => {
        resolve(socket.getPeerCertificate().raw.toString('base64'))
        socket.destroy()
      })
      socket.on('error', reject)
    })
  const pem = member.identity.current.certificatePem
  const expected = pem.replace(/-----[^-]+-----|\s/g, '')
  await until('the new one is shown', async () => (await shown()) === expected)
  await expect(listImages(credentials)).resolves.toEqual({ images: [] })
})
