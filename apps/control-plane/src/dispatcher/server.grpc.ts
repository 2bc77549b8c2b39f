import { randomUUID, X509Certificate } from 'node:crypto'
import { type Clock, Fault, fault, faultToGrpc, type Logger } from '@berth/core'
import {
  type CertificateServiceServer,
  CertificateServiceService,
  type DispatcherServiceServer,
  DispatcherServiceService,
  type EnrollmentServiceServer,
  EnrollmentServiceService,
  type SessionRequest,
  type SessionResponse,
} from '@berth/proto'
import {
  experimental,
  type handleUnaryCall,
  Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { signNode } from '../ca/certificates.exec.js'
import { isIssuedBy } from '../ca/issued-by.js'
import type { OwnIdentity } from '../ca/own-identity.loop.js'
import type { Listen } from '../config/env.js'
import type { ClusterStore } from '../store/cluster.store.js'
import type { NodeWriteStore } from '../store/node-write.store.js'
import type { Sessions } from './sessions.js'

export interface DispatcherDeps {
  readonly listen: Listen
  readonly identity: OwnIdentity
  readonly cluster: ClusterStore
  readonly nodes: NodeWriteStore
  readonly clock: Clock
  readonly logger: Logger
  /** The sessions of the present leadership; undefined while another control plane leads. */
  sessions(): Sessions | undefined
  epoch(): bigint
  /** A node came, or reported: loops should look. */
  wake(): void
  /** Sends a node its full set. */
  sendFull(nodeId: string): Promise<void>
}

type AuthContext = { getAuthContext(): { sslPeerCertificate?: { readonly raw: Buffer } } }

/**
 * The node behind a call, by its certificate. The listener also lets callers in without one (to enrol), so TLS alone has not checked whose
 * certificate it is: that happens here. @throws auth.node_required
 */
function nodeOf(deps: DispatcherDeps, call: AuthContext): string {
  const raw = call.getAuthContext().sslPeerCertificate?.raw
  const peer = raw ? new X509Certificate(raw) : undefined
  const trusted =
    peer && isIssuedBy(peer, new X509Certificate(deps.identity.ca.certificatePem), deps.clock.nowMs())
  const { CN, OU } = peer && trusted ? peer.toLegacyObject().subject : {}
  if (OU !== 'node' || typeof CN !== 'string')
    throw fault.unauthenticated('auth.node_required', "this call needs a node's certificate: join first")
  return CN
}

function unary<Request, Response>(
  logger: Logger,
  work: (request: Request, call: ServerUnaryCall<Request, Response>) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback: sendUnaryData<Response>) => {
    work(call.request, call).then(
      (response) => callback(null, response),
      (error: unknown) => {
        const failure = Fault.from(error)
        if (failure.kind === 'internal')
          logger.error({ error: failure.message, path: call.getPath() }, 'an agent call failed')
        callback(faultToGrpc(failure))
      },
    )
  }
}

/** The agents' side of the control plane. Client certificates are verified against the cluster's CA when they are given; only enrolling works without one. */
export async function startDispatcher(deps: DispatcherDeps): Promise<Server> {
  const server = new Server({
    'grpc.keepalive_time_ms': 5_000,
    'grpc.keepalive_timeout_ms': 3_000,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.http2.min_ping_interval_without_data_ms': 1_000,
    'grpc.max_receive_message_length': 32 * 1024 * 1024,
  })
  server.addService(EnrollmentServiceService, enrollment(deps))
  server.addService(CertificateServiceService, certificates(deps))
  server.addService(DispatcherServiceService, dispatcher(deps))
  await bind(server, deps)
  return server
}

const enrollment = (deps: DispatcherDeps): EnrollmentServiceServer => ({
  enroll: unary(deps.logger, async (request) => {
    const nodeId = await deps.cluster.enroll({
      token: request.token,
      hostname: request.hostname,
      machineId: request.machineId,
    })
    deps.logger.info({ node: request.hostname, nodeId }, 'a node joined')
    return {
      nodeId,
      certificatePem: await sign(deps, request.csrPem, nodeId),
      caPem: deps.identity.ca.certificatePem,
    }
  }),
})

const certificates = (deps: DispatcherDeps): CertificateServiceServer => ({
  renewCertificate: unary(deps.logger, async (request, call) => {
    const nodeId = nodeOf(deps, call)
    if (!(await deps.cluster.isMember(nodeId)))
      throw fault.permissionDenied('node.not_found', `node ${nodeId} was removed from the cluster`)
    return {
      certificatePem: await sign(deps, request.csrPem, nodeId),
      caPem: deps.identity.ca.certificatePem,
    }
  }),
})

const dispatcher = (deps: DispatcherDeps): DispatcherServiceServer => ({
  session: (call: ServerWritableStream<SessionRequest, SessionResponse>) => void openSession(deps, call),
  heartbeat: unary(deps.logger, async (request, call) => {
    const nodeId = nodeOf(deps, call)
    const sessions = leading(deps)
    const next = randomUUID()
    const proven = sessions.heartbeat(
      nodeId,
      request.sessionId,
      request.nonce,
      next,
      deps.clock.monotonicMs(),
    )
    if (proven === undefined)
      throw fault.notFound('session.unknown', 'this session is unknown: open a new one')
    return { nonce: next, heartbeatPeriodMs: sessions.settings.heartbeatPeriodMs, epoch: deps.epoch() }
  }),
  reportStatus: unary(deps.logger, async (request, call) => {
    const nodeId = nodeOf(deps, call)
    if (!leading(deps).find(nodeId, request.sessionId))
      throw fault.notFound('session.unknown', 'this session is unknown: open a new one')
    await deps.nodes.report(nodeId, request.statuses)
    return {}
  }),
})

function leading(deps: DispatcherDeps): Sessions {
  const sessions = deps.sessions()
  if (!sessions)
    throw fault.unavailable('leader.elsewhere', 'this control plane does not lead at the moment: try again')
  return sessions
}

async function sign(deps: DispatcherDeps, csrPem: string, nodeId: string): Promise<string> {
  return signNode(deps.identity.ca, csrPem, nodeId, deps.clock.nowMs()).catch((cause) => {
    throw fault.invalidArgument(
      'join.csr_invalid',
      `the certificate request is not valid: ${String(cause)}`,
      { cause },
    )
  })
}

async function openSession(
  deps: DispatcherDeps,
  call: ServerWritableStream<SessionRequest, SessionResponse>,
): Promise<void> {
  try {
    const nodeId = nodeOf(deps, call)
    const sessions = leading(deps)
    const { description, bootId, epochSeen } = call.request
    if (!description)
      throw fault.invalidArgument('session.invalid', 'the session request has no node description')
    if (epochSeen > deps.epoch())
      throw fault.failedPrecondition(
        'leader.stale',
        `the agent has seen epoch ${epochSeen}, this control plane is at ${deps.epoch()}: its database is older than its agents`,
      )
    await deps.nodes.describe(nodeId, description, bootId)
    const id = randomUUID()
    const stream = {
      send: (message: SessionResponse) => void call.write(message),
      // Not destroy(): that ends the stream here and tells the agent nothing.
      supersede: () =>
        call.emit(
          'error',
          Object.assign(new Error('session.superseded: a newer session of this node took over'), {
            code: status.ABORTED,
            details: 'session.superseded: a newer session of this node took over',
          }),
        ),
    }
    sessions.open(nodeId, stream, id, deps.clock.monotonicMs())
    call.on('cancelled', () => sessions.close(nodeId, id))
    call.on('error', () => sessions.close(nodeId, id))
    deps.logger.info({ node: description.hostname, nodeId }, 'session opened')
    await deps.sendFull(nodeId)
    deps.wake()
  } catch (error) {
    call.emit('error', Object.assign(new Error('refused'), faultToGrpc(Fault.from(error))))
  }
}

function bind(server: Server, deps: DispatcherDeps): Promise<void> {
  const { host, port } = deps.listen
  const credentials = experimental.createCertificateProviderServerCredentials(
    deps.identity,
    deps.identity,
    false,
  )
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, credentials, (error) =>
      error
        ? reject(
            fault.failedPrecondition(
              'config.listen_failed',
              `cannot listen for agents on ${host}:${port}: ${error.message}`,
              { cause: error },
            ),
          )
        : resolve(),
    )
  })
}
