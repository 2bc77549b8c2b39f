import 'reflect-metadata'
import { X509Certificate } from 'node:crypto'
import { faultFromGrpc, systemClock } from '@berth/core'
import {
  CertificateServiceClient,
  DispatcherServiceClient,
  EnrollmentServiceClient,
  type SessionResponse,
} from '@berth/proto'
import { ChannelCredentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import * as x509 from '@peculiar/x509'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCa, signNode } from '../ca/certificates.exec.js'
import { ClusterStore } from '../store/cluster.store.js'
import { aServing, type ServingFixture } from '../testing/serving.js'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const OPTIONS = {
  'grpc.ssl_target_name_override': 'control-plane.berth.internal',
  'grpc.use_local_subchannel_pool': 1,
}

let control: ServingFixture
let caPem = ''
beforeAll(async () => {
  control = await aServing()
  const { database, config } = control
  caPem = (await new ClusterStore(database.database, config.dataDir, systemClock).ca()).certificatePem
})
afterAll(() => control.dispose())

const address = () => `127.0.0.1:${control.config.grpc.port}`
const deadline = () => ({ deadline: Date.now() + 5_000 })

async function request(): Promise<{ csrPem: string; keyPem: string }> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=x',
    keys,
    signingAlgorithm: ALGORITHM,
  })
  const key = await crypto.subtle.exportKey('pkcs8', keys.privateKey)
  return { csrPem: csr.toString('pem'), keyPem: x509.PemConverter.encode(key, 'PRIVATE KEY') }
}

/** A unary call as a promise; its failure as the fault the server meant. */
function ask<Response>(
  send: (done: (error: ServiceError | null, response: Response) => void) => void,
): Promise<Response> {
  return new Promise((resolve, reject) =>
    send((error, response) =>
      error ? reject(faultFromGrpc(error, 'grpc.failed', 'grpc')) : resolve(response),
    ),
  )
}

interface Member {
  readonly nodeId: string
  readonly certificatePem: string
  readonly keyPem: string
}

async function enroll(token: string, hostname: string): Promise<Member> {
  const { csrPem, keyPem } = await request()
  const client = new EnrollmentServiceClient(
    address(),
    ChannelCredentials.createSsl(Buffer.from(caPem)),
    OPTIONS,
  )
  try {
    const answer = await ask<{ nodeId: string; certificatePem: string }>((done) =>
      client.enroll({ token, csrPem, hostname, machineId: hostname }, new Metadata(), deadline(), done),
    )
    return { ...answer, keyPem }
  } finally {
    client.close()
  }
}

async function join(name: string): Promise<Member> {
  const { token } = await control.command<{ token: string }>('join-token', { name })
  return enroll(token, name)
}

const credentials = ({ certificatePem, keyPem }: Omit<Member, 'nodeId'>) =>
  ChannelCredentials.createSsl(Buffer.from(caPem), Buffer.from(keyPem), Buffer.from(certificatePem))

const description = (hostname: string) => ({
  hostname,
  agentVersion: '0',
  cpuNanos: 2_000_000_000n,
  memoryBytes: 1n << 30n,
  architecture: 'amd64',
  os: 'linux',
  labels: {},
  advertiseAddress: '127.0.0.1',
  agentEndpoint: '127.0.0.1:1',
  conditions: [],
  kernel: '6',
  runtimeVersion: 'x',
})

/** Opens a session; `first` is its full set, `ended` the fault it ends with. */
function session(member: Omit<Member, 'nodeId'>, hostname: string, epochSeen = 0n) {
  const client = new DispatcherServiceClient(address(), credentials(member), OPTIONS)
  const call = client.session({ description: description(hostname), epochSeen, bootId: 'b' })
  const first = new Promise<SessionResponse>((resolve) => call.once('data', resolve))
  const ended = new Promise<{ code: string }>((resolve) =>
    call.once('error', (error: ServiceError) => resolve(faultFromGrpc(error, 'grpc.failed', 'grpc'))),
  )
  return { client, call, first, ended, close: () => client.close() }
}

describe('joining', () => {
  test('a token joins one node once; the certificate carries the id the control plane chose', async () => {
    const { token } = await control.command<{ token: string }>('join-token', { name: 'once' })
    const member = await enroll(token, 'once')
    const { subject, subjectAltName } = new X509Certificate(member.certificatePem)
    expect(subject).toContain(`CN=${member.nodeId}`)
    expect(subject).toContain('OU=node')
    expect(subjectAltName).toBe(`DNS:${member.nodeId}.node.berth.internal`)
    await expect(enroll(token, 'twice')).rejects.toMatchObject({ code: 'join.token_invalid' })
  })

  test('a member renews over the certificate it has', async () => {
    const member = await join('renewing')
    const client = new CertificateServiceClient(address(), credentials(member), OPTIONS)
    const { csrPem } = await request()
    const answer = await ask<{ certificatePem: string }>((done) =>
      client.renewCertificate({ csrPem }, new Metadata(), deadline(), done),
    )
    expect(new X509Certificate(answer.certificatePem).subject).toContain(`CN=${member.nodeId}`)
    client.close()
  })
})

describe('who may open a session', () => {
  test('nobody without a certificate, and nobody with one that another CA signed for a real node', async () => {
    const member = await join('real')
    const { csrPem, keyPem } = await request()
    const stranger = await createCa(Date.now())
    const forged = { keyPem, certificatePem: await signNode(stranger, csrPem, member.nodeId, Date.now()) }
    const attempt = session(forged, 'real')
    const outcome = await Promise.race([attempt.ended, attempt.first.then(() => ({ code: 'let in' }))])
    // TLS may drop the connection before our own check is asked.
    expect(['auth.node_required', 'grpc.failed']).toContain(outcome.code)
    attempt.close()
    const bare = new DispatcherServiceClient(
      address(),
      ChannelCredentials.createSsl(Buffer.from(caPem)),
      OPTIONS,
    )
    const call = bare.session({ description: description('real'), epochSeen: 0n, bootId: 'b' })
    const refused = await new Promise<ServiceError>((resolve) => call.once('error', resolve))
    expect(refused.details).toContain('auth.node_required')
    bare.close()
  })

  test('not a node whose certificate has run out', async () => {
    const member = await join('late')
    const cluster = new ClusterStore(control.database.database, control.config.dataDir, systemClock)
    const { csrPem, keyPem } = await request()
    const longAgo = Date.now() - 48 * 3_600_000
    const expired = {
      keyPem,
      certificatePem: await signNode(await cluster.ca(), csrPem, member.nodeId, longAgo),
    }
    const attempt = session(expired, 'late')
    expect(await attempt.ended).toMatchObject({ code: 'auth.node_required' })
    attempt.close()
  })

  test('not an agent that has obeyed a later leader than this one', async () => {
    const attempt = session(await join('ahead'), 'ahead', 1_000_000n)
    expect(await attempt.ended).toMatchObject({ code: 'leader.stale' })
    attempt.close()
  })
})

describe('a session', () => {
  test('begins with the full set and makes the node ready; a second one ends the first', async () => {
    const member = await join('worker')
    const one = session(member, 'worker')
    expect(await one.first).toMatchObject({ sequence: 1n, body: { $case: 'full' } })
    const node = await (await control.call('GET', '/nodes/worker')).json()
    expect(node).toMatchObject({ name: 'worker', state: 'ready', cpuNanos: 2_000_000_000 })
    const two = session(member, 'worker')
    await two.first
    expect(await one.ended).toMatchObject({ code: 'session.superseded' })
    for (const each of [one, two]) each.close()
  })

  test('takes heartbeats and reports of its own only', async () => {
    const member = await join('talker')
    const own = session(member, 'talker')
    const { sessionId, nonce } = await own.first
    const beat = (id: string) =>
      ask<{ nonce: string }>((done) =>
        own.client.heartbeat({ sessionId: id, nonce }, new Metadata(), deadline(), done),
      )
    expect((await beat(sessionId)).nonce).not.toBe(nonce)
    await expect(beat('another')).rejects.toMatchObject({ code: 'session.unknown' })
    const report = ask((done) =>
      own.client.reportStatus({ sessionId: 'another', statuses: [] }, new Metadata(), deadline(), done),
    )
    await expect(report).rejects.toMatchObject({ code: 'session.unknown' })
    own.close()
  })
})
