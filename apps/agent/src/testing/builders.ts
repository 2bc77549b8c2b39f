import { type ContainerId, type Digest, newContainerId } from '@berth/core'
import { Assignment, DesiredState, type SessionResponse, TaskStatus } from '@berth/proto'
import type { ContainerInfo } from '@berth/runtime'

type PartialOf<T> = T extends { fromPartial(object: infer P): unknown } ? P : never

/** A task of service web that shall run; say only what matters. */
export const anAssignment = ({
  container,
  ...rest
}: PartialOf<typeof Assignment> & { readonly taskId: string }): Assignment =>
  Assignment.fromPartial({
    serviceId: 'serviceweb',
    serviceName: 'web',
    slot: 1,
    releaseId: 'release1',
    releaseNumber: 1,
    desiredState: DesiredState.DESIRED_STATE_RUNNING,
    ...rest,
    container: { image: 'tiny:1', stopTimeoutMs: 1_000, ...container },
  })

export const aStatus = (status: PartialOf<typeof TaskStatus> = {}): TaskStatus =>
  TaskStatus.fromPartial({ taskId: 'task', state: 'running', ...status })

const NEVER = '2026-01-01T00:00:00.000Z'

/** A running container of an image that nobody has. */
export const aContainer = (container: Partial<ContainerInfo> = {}): ContainerInfo => ({
  id: newContainerId() as ContainerId,
  spec: { name: 'web.1.task', image: 'tiny:1' },
  imageId: `sha256:${'0'.repeat(64)}` as Digest,
  state: 'running',
  pid: 42,
  createdAt: NEVER,
  startedAt: NEVER,
  finishedAt: undefined,
  exit: undefined,
  startError: undefined,
  restartCount: 0,
  ipAddress: '10.0.0.2',
  macAddress: undefined,
  health: undefined,
  mounts: [],
  execIds: [],
  ports: [],
  published: true,
  ...container,
})

type Head = Partial<Omit<SessionResponse, 'body'>>
const HEAD = { sessionId: 's', epoch: 1n, sequence: 1n, heartbeatPeriodMs: 3_000, nonce: 'n' }

export const aFullSet = (assignments: Assignment[], head: Head = {}): SessionResponse => ({
  ...HEAD,
  ...head,
  body: { $case: 'full', value: { assignments } },
})

export const anIncrement = (
  upserts: Assignment[],
  removedTaskIds: string[] = [],
  head: Head = {},
): SessionResponse => ({
  ...HEAD,
  sequence: 2n,
  ...head,
  body: { $case: 'increment', value: { upserts, removedTaskIds } },
})
