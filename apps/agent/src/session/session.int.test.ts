import { silentLogger } from '@berth/core'
import { NodeDescription } from '@berth/proto'
import { until } from '@berth/runtime/testing'
import { status } from '@grpc/grpc-js'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { aFullSet, anAssignment, anIncrement, aStatus } from '../testing/builders.js'
import { createAuthority, type TestAuthority } from '../testing/test-authority.js'
import { openTestControlPlane, type TestControlPlane } from '../testing/test-control-plane.js'
import { briskClock, openTestMember, type TestMember } from '../testing/test-member.js'
import { SessionLoop } from './session.loop.js'

const task = (taskId: string) => anAssignment({ taskId })

let authority: TestAuthority
let plane: TestControlPlane
let member: TestMember
let stop: AbortController
let running: Promise<void> | undefined
/** Every set that was applied, beside what the disk had then. */
let applied: { tasks: string[]; onDisk: string[]; epoch: bigint }[]

beforeEach(async () => {
  authority = await createAuthority()
  plane = await openTestControlPlane(authority)
  member = await openTestMember(authority, plane.endpoint)
  stop = new AbortController()
  applied = []
})
afterEach(async () => {
  stop.abort(new Error('the test is over'))
  await running
  running = undefined
  plane.dispose()
  member.dispose()
})

function run({ controlPlane = plane.endpoint, warned = [] as unknown[] } = {}): void {
  const loop = new SessionLoop({
    controlPlane,
    bootId: 'boot-1',
    identity: member.identity,
    store: member.store,
    reporter: member.reporter,
    clock: briskClock,
    logger: { ...silentLogger, warn: (fields) => void warned.push(fields) },
    describe: () => NodeDescription.fromPartial({ hostname: 'server-a' }),
    apply: (set) =>
      applied.push({
        tasks: [...set.keys()],
        onDisk: member.store.assignments().map(({ taskId }) => taskId),
        epoch: member.store.epoch(),
      }),
  })
  running = loop.run(stop.signal)
}

const sessions = (count: number) => until(`${count} sessions`, () => plane.sessions.length >= count)

test('a session says who it is, its boot and the highest epoch obeyed', async () => {
  member.store.saveAssignments(7n, [])
  run()
  await sessions(1)
  expect(plane.sessions[0]).toMatchObject({
    nodeId: 'node-1',
    request: { bootId: 'boot-1', epochSeen: 7n, description: { hostname: 'server-a' } },
  })
})

test('every set is on disk with its epoch before it is applied', async () => {
  plane.onSession = (session) => {
    session.send(aFullSet([task('a'), task('b')], { epoch: 5n }))
    session.send(anIncrement([task('c')], ['a'], { epoch: 6n }))
  }
  run()
  await until('both were applied', () => applied.length === 2)
  expect(applied).toEqual([
    { tasks: ['a', 'b'], onDisk: ['a', 'b'], epoch: 5n },
    { tasks: ['b', 'c'], onDisk: ['b', 'c'], epoch: 6n },
  ])
})

test('each heartbeat echoes the nonce of the answer before', async () => {
  run()
  await until('three beats', () => plane.heartbeats.length >= 3)
  expect(plane.heartbeats.slice(0, 3)).toEqual([
    { sessionId: 's1', nonce: 'n' },
    { sessionId: 's1', nonce: 'nonce1' },
    { sessionId: 's1', nonce: 'nonce2' },
  ])
})

test('statuses go out over the session, and all of them again over the next one', async () => {
  member.reporter.report(aStatus({ taskId: 'a', state: 'failed' }))
  run()
  await until('it was told', () => plane.reported.length === 1)
  plane.sessions[0]?.end()
  await until('it was told again', () => plane.reported.length === 2)
  expect(plane.reported.map(({ taskId, state }) => `${taskId} ${state}`)).toEqual(['a failed', 'a failed'])
})

test('a report that is not answered ends the session, and nothing of it is lost', async () => {
  plane.reports = 'silence'
  member.reporter.report(aStatus({ taskId: 'a' }))
  run()
  await sessions(2)
  plane.reports = 'answer'
  await until('it was told', () => plane.reported.length > 0)
})

test('a session that another one of this node superseded is opened again', async () => {
  run()
  await sessions(1)
  plane.sessions[0]?.refuse(status.ABORTED, 'session.superseded: another session of this node')
  await sessions(2)
  await until('it beats', () => plane.heartbeats.some(({ sessionId }) => sessionId === 's2'))
})

test('a heartbeat that is not answered ends the session within its deadline', async () => {
  plane.heartbeat = 'silence'
  run()
  await sessions(2)
  await until('the first is over', () => plane.sessions[0]?.isOver)
})

test('a control plane that does not know the session is asked for a new one', async () => {
  plane.heartbeat = { code: status.NOT_FOUND, details: 'session.unknown: no session s1' }
  run()
  await sessions(2)
})

test('a control plane that takes the session and stays silent is left', async () => {
  plane.onSession = () => {}
  run()
  await sessions(2)
  await until('the first is over', () => plane.sessions[0]?.isOver)
})

test.each([
  ['a gap in the numbers', anIncrement([task('b')], [], { epoch: 5n, sequence: 3n })],
  ['a leader of an older epoch', anIncrement([task('b')], [], { epoch: 4n })],
  ['a message without a body', { ...anIncrement([], [], { epoch: 5n }), body: undefined }],
])('%s ends the session, changes nothing, and the next full set counts', async (_name, wrong) => {
  plane.onSession = (session) => {
    session.send(aFullSet([task(`full${plane.sessions.length}`)], { epoch: 5n }))
    if (plane.sessions.length === 1) session.send(wrong)
  }
  run()
  await until('the second full set', () => applied.length >= 2)
  expect(applied.map(({ tasks }) => tasks)).toEqual([['full1'], ['full2']])
  expect(member.store.epoch()).toBe(5n)
})

test('a set that cannot be kept is not obeyed, and the agent goes on with the next session', async () => {
  const save = member.store.saveAssignments.bind(member.store)
  let isFull = true
  member.store.saveAssignments = (epoch, assignments) => {
    if (isFull) throw new Error('database or disk is full')
    save(epoch, assignments)
  }
  plane.onSession = (session) => {
    isFull = plane.sessions.length === 1
    session.send(aFullSet([task('a')]))
  }
  run()
  await until('it was applied', () => applied.length > 0)
  expect(plane.sessions.length).toBe(2)
  expect(applied).toEqual([{ tasks: ['a'], onDisk: ['a'], epoch: 1n }])
})

test('a control plane with a certificate of another cluster is not spoken to', async () => {
  const warned: unknown[] = []
  const impostor = await openTestControlPlane(await createAuthority())
  run({ controlPlane: impostor.endpoint, warned })
  await until('it was tried twice', () => warned.length >= 2)
  impostor.dispose()
  expect(impostor.sessions).toEqual([])
  expect(warned[0]).toMatchObject({ code: 'control_plane.unreachable' })
})

test('stopping ends the session at once', async () => {
  run()
  await until('it beats', () => plane.heartbeats.length > 0)
  stop.abort(new Error('SIGTERM'))
  await running
  await until('the control plane sees it', () => plane.sessions[0]?.isOver)
})
