import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type Assignment,
  CertificateServiceService,
  DesiredState,
  DispatcherServiceService,
  EnrollmentServiceService,
  EnrollRequest,
  HeartbeatRequest,
  HostServiceService,
  LogsRequest,
  PortMode,
  SessionResponse,
  TaskStatus,
} from './index.js'

const assignment: Assignment = {
  taskId: 't1',
  serviceId: 's1',
  serviceName: 'web',
  slot: 2,
  releaseId: 'r1',
  releaseNumber: 3,
  desiredState: DesiredState.DESIRED_STATE_RUNNING,
  container: {
    image: 'berth.internal/demo/web@sha256:abc',
    entrypoint: [],
    command: ['sh', '-c', 'x'],
    env: ['A=ü', 'B='],
    workdir: '',
    user: '',
    labels: { a: 'b' },
    stopSignal: 'SIGINT',
    stopTimeoutMs: 10_000,
    readOnlyRootfs: true,
    cpuLimitNanos: 1_500_000_000n,
    memoryLimitBytes: 2n ** 50n,
    pidsMax: 2048,
    ports: [{ protocol: 'tcp', targetPort: 80, publishedPort: 8080, mode: PortMode.PORT_MODE_HOST }],
  },
}

test('a full set and an increment arrive as they were sent', () => {
  const head = { sessionId: 's', epoch: 2n ** 63n, heartbeatPeriodMs: 3_000, nonce: 'n' }
  const full: SessionResponse = {
    ...head,
    sequence: 1n,
    body: { $case: 'full', value: { assignments: [assignment] } },
  }
  const increment: SessionResponse = {
    ...head,
    sequence: 2n,
    body: { $case: 'increment', value: { upserts: [], removedTaskIds: ['t1'] } },
  }
  for (const message of [full, increment])
    expect(SessionResponse.decode(SessionResponse.encode(message).finish())).toEqual(message)
})

test('an empty full set is not the same as no body', () => {
  const empty = SessionResponse.fromPartial({ body: { $case: 'full', value: { assignments: [] } } })
  expect(SessionResponse.decode(SessionResponse.encode(empty).finish()).body).toEqual({
    $case: 'full',
    value: { assignments: [] },
  })
  expect(SessionResponse.decode(new Uint8Array()).body).toBeUndefined()
})

test('exit code 0 is told apart from no exit code', () => {
  const decode = (exitCode: number | undefined) =>
    TaskStatus.decode(TaskStatus.encode(TaskStatus.fromPartial({ taskId: 't', exitCode })).finish()).exitCode
  expect([decode(0), decode(undefined), decode(-1), decode(137)]).toEqual([0, undefined, -1, 137])
})

test('nothing decodes to the defaults', () => {
  expect(LogsRequest.decode(new Uint8Array())).toEqual({ taskId: '', follow: false, tail: 0, sinceMs: 0n })
})

test('fields of a newer peer are skipped and the known ones kept', () => {
  const writer = new BinaryWriter()
  writer.uint32(10).string('session')
  writer.uint32((999 << 3) | 2).string('from the future')
  writer.uint32((1000 << 3) | 0).uint64(7n)
  writer.uint32(18).string('nonce')
  expect(HeartbeatRequest.decode(new BinaryReader(writer.finish()))).toEqual({
    sessionId: 'session',
    nonce: 'nonce',
  })
})

test('an enum value of a newer peer does not turn into another one', () => {
  const bytes = SessionResponse.encode(
    SessionResponse.fromPartial({
      body: { $case: 'increment', value: { upserts: [{ taskId: 't', desiredState: 42 as DesiredState }] } },
    }),
  ).finish()
  const { body } = SessionResponse.decode(bytes)
  const sent = body?.$case === 'increment' ? body.value.upserts[0]?.desiredState : undefined
  expect(sent).not.toBe(DesiredState.DESIRED_STATE_RUNNING)
  expect(sent).not.toBe(DesiredState.DESIRED_STATE_SHUTDOWN)
})

test('any text and any size survives', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      (text, observedAtMs, restartCount) => {
        const status = TaskStatus.fromPartial({ message: text, observedAtMs, restartCount })
        expect(TaskStatus.decode(TaskStatus.encode(status).finish())).toEqual(status)
      },
    ),
  )
})

test('a message cut short is refused', () => {
  const bytes = EnrollRequest.encode(
    EnrollRequest.fromPartial({ token: 'x'.repeat(40), csrPem: 'y'.repeat(40) }),
  ).finish()
  expect(() => EnrollRequest.decode(bytes.subarray(0, bytes.length - 5))).toThrow()
})

test('the names on the wire are the ones agents in the field call', () => {
  const paths = [
    EnrollmentServiceService,
    CertificateServiceService,
    DispatcherServiceService,
    HostServiceService,
  ]
    .flatMap((service) => Object.values(service))
    .map((method) => method.path)
  expect(paths).toEqual([
    '/berth.agent.v1.EnrollmentService/Enroll',
    '/berth.agent.v1.CertificateService/RenewCertificate',
    '/berth.agent.v1.DispatcherService/Session',
    '/berth.agent.v1.DispatcherService/Heartbeat',
    '/berth.agent.v1.DispatcherService/ReportStatus',
    '/berth.agent.v1.HostService/Logs',
    '/berth.agent.v1.HostService/Stats',
    '/berth.agent.v1.HostService/ListImages',
    '/berth.agent.v1.HostService/PullImage',
    '/berth.agent.v1.HostService/RemoveImage',
  ])
})
