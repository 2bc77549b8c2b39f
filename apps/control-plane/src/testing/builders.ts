import { type ServiceSpec, type ServiceSpecInput, serviceSpecSchema } from '@berth/domain'
import type { NodeView, ServiceView, TaskView } from '../cluster-view/view.js'

type SpecOverrides = Omit<Partial<ServiceSpecInput>, 'task'> & { task?: Partial<ServiceSpecInput['task']> }

/** A valid spec that wants one replica of an image. */
export const aSpec = (more: SpecOverrides = {}): ServiceSpec =>
  serviceSpecSchema.parse({ name: 'web', ...more, task: { image: 'demo/web:1', ...more.task } })

/** A service at release 1 (`<id>-r1`) whose deployment is over. */
export function aService(more: Partial<ServiceView> & { want?: SpecOverrides } = {}): ServiceView {
  const { want, ...rest } = more
  const id = rest.id ?? 'web'
  const releaseNumber = rest.releaseNumber ?? 1
  return {
    id,
    name: id,
    spec: aSpec({ name: id, ...want }),
    releaseId: `${id}-r${releaseNumber}`,
    releaseNumber,
    rebalance: false,
    removing: false,
    deployment: undefined,
    ...rest,
  }
}

/** A ready node of 8 cores and 16 GiB. */
export const aNode = (id: string, more: Partial<NodeView> = {}): NodeView => ({
  id,
  name: id,
  state: 'ready',
  availability: 'active',
  cpuNanos: 8_000_000_000,
  memoryBytes: 16 * 2 ** 30,
  labels: {},
  ...more,
})

let made = 0
/** A task of release 1 of service `web` that has run on node `a` since the beginning of time. */
export function aTask(more: Partial<TaskView> = {}): TaskView {
  made += 1
  const serviceId = more.serviceId ?? 'web'
  const releaseNumber = more.releaseNumber ?? 1
  return {
    id: `task-${String(made).padStart(6, '0')}`,
    serviceId,
    slot: 1,
    releaseId: `${serviceId}-r${releaseNumber}`,
    releaseNumber,
    nodeId: 'a',
    state: 'running',
    desiredState: 'running',
    message: '',
    code: null,
    notBeforeMs: 0,
    stateSinceMs: 0,
    createdAtMs: 0,
    ...more,
  }
}
