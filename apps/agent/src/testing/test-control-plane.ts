import {
  type CertificateServiceServer,
  CertificateServiceService,
  type DispatcherServiceServer,
  DispatcherServiceService,
  type EnrollmentServiceServer,
  EnrollmentServiceService,
  type EnrollRequest,
  type HeartbeatRequest,
  type SessionRequest,
  type SessionResponse,
  type TaskStatus,
} from '@berth/proto'
import { experimental, Server, type ServerWritableStream, type status } from '@grpc/grpc-js'
import { aFullSet } from './builders.js'
import type { TestAuthority, TestIdentity } from './test-authority.js'

type Call = ServerWritableStream<SessionRequest, SessionResponse>

/** One session an agent opened. Sends what it is told to, however wrong. */
export interface TestSession {
  readonly request: SessionRequest
  /** Common name of the agent's certificate. */
  readonly nodeId: string
  send(message: SessionResponse): void
  /** Ends it with a status of this kind. */
  refuse(code: status, details: string): void
  end(): void
  readonly isOver: boolean
}

/** What the control plane shall do from now on. */
export interface Behaviour {
  /** Answers a new session; the default is an empty full set with a 50 ms heartbeat. */
  onSession: (session: TestSession) => void
  /** `answer` (default), `silence`, or a refusal with this text. */
  heartbeat: 'answer' | 'silence' | { readonly code: status; readonly details: string }
  reports: 'answer' | 'silence'
  /** Enrolment and renewal are refused with this text. */
  refuseIdentity: { readonly code: status; readonly details: string } | undefined
}

export interface TestControlPlane extends Behaviour {
  /** host:port */
  readonly endpoint: string
  readonly sessions: readonly TestSession[]
  readonly heartbeats: readonly HeartbeatRequest[]
  readonly reported: readonly TaskStatus[]
  readonly enrolments: readonly EnrollRequest[]
  dispose(): void
}

const refusal = (code: status, details: string) => Object.assign(new Error(details), { code, details })

/** The agents' side of a control plane: a real grpc-js server over mutual TLS on a loopback port, with a script for a brain. */
export async function openTestControlPlane(authority: TestAuthority): Promise<TestControlPlane> {
  const own = await authority.issue('control-plane', 'control-plane')
  const server = new Server()
  const plane = new Plane(authority, server)
  server.addService(DispatcherServiceService, plane.dispatcher)
  server.addService(EnrollmentServiceService, plane.enrollment)
  server.addService(CertificateServiceService, plane.certificate)
  // Enrolment comes without a certificate: one is asked for, and the calls look whose it is.
  const credentials = experimental.createCertificateProviderServerCredentials(
    providerOf(own),
    providerOf(own),
    false,
  )
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound))),
  )
  plane.endpoint = `127.0.0.1:${port}`
  return plane
}

type Provider = Parameters<typeof experimental.createCertificateProviderServerCredentials>[0]

/** One identity for as long as the server lives. */
const providerOf = (own: TestIdentity): Provider => ({
  addCaCertificateListener: (listener) =>
    queueMicrotask(() => listener({ caCertificate: Buffer.from(own.caPem) })),
  removeCaCertificateListener: () => {},
  addIdentityCertificateListener: (listener) =>
    queueMicrotask(() =>
      listener({
        certificate: Buffer.from(`${own.certificatePem}${own.caPem}`),
        privateKey: Buffer.from(own.keyPem),
      }),
    ),
  removeIdentityCertificateListener: () => {},
})

class Plane implements TestControlPlane {
  endpoint = ''
  readonly sessions: TestSession[] = []
  readonly heartbeats: HeartbeatRequest[] = []
  readonly reported: TaskStatus[] = []
  readonly enrolments: EnrollRequest[] = []
  onSession: Behaviour['onSession'] = (session) =>
    session.send(aFullSet([], { sessionId: `s${this.sessions.length}`, heartbeatPeriodMs: 50 }))
  heartbeat: Behaviour['heartbeat'] = 'answer'
  reports: Behaviour['reports'] = 'answer'
  refuseIdentity: Behaviour['refuseIdentity']

  constructor(
    private readonly authority: TestAuthority,
    private readonly server: Server,
  ) {}

  readonly dispatcher: DispatcherServiceServer = {
    session: (call: Call) => {
      const session = aSession(call)
      this.sessions.push(session)
      this.onSession(session)
    },
    heartbeat: (call, callback) => {
      this.heartbeats.push(call.request)
      if (this.heartbeat === 'silence') return
      if (this.heartbeat !== 'answer') return callback(refusal(this.heartbeat.code, this.heartbeat.details))
      callback(null, { nonce: `nonce${this.heartbeats.length}`, heartbeatPeriodMs: 50, epoch: 1n })
    },
    reportStatus: (call, callback) => {
      if (this.reports === 'silence') return
      this.reported.push(...call.request.statuses)
      callback(null, {})
    },
  }

  readonly enrollment: EnrollmentServiceServer = {
    enroll: (call, callback) => {
      this.enrolments.push(call.request)
      if (this.refuseIdentity) return callback(refusal(this.refuseIdentity.code, this.refuseIdentity.details))
      void this.authority
        .sign(call.request.csrPem, 'node-new')
        .then((certificatePem) =>
          callback(null, { nodeId: 'node-new', certificatePem, caPem: this.authority.caPem }),
        )
    },
  }

  readonly certificate: CertificateServiceServer = {
    renewCertificate: (call, callback) => {
      if (this.refuseIdentity) return callback(refusal(this.refuseIdentity.code, this.refuseIdentity.details))
      void this.authority
        .sign(call.request.csrPem, commonName(call))
        .then((certificatePem) => callback(null, { certificatePem, caPem: this.authority.caPem }))
    },
  }

  dispose(): void {
    this.server.forceShutdown()
  }
}

const commonName = (call: Pick<Call, 'getAuthContext'>): string =>
  String(call.getAuthContext().sslPeerCertificate?.subject?.CN ?? '')

function aSession(call: Call): TestSession {
  return {
    request: call.request,
    nodeId: commonName(call),
    send: (message) => void call.write(message),
    refuse: (code, details) => void call.emit('error', refusal(code, details)),
    end: () => call.end(),
    get isOver() {
      return call.cancelled || call.destroyed
    },
  }
}
