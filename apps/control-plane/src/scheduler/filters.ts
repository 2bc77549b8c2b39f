import type { ServiceSpec } from '@berth/domain'
import type { NodeView } from '../cluster-view/view.js'

/** What a node has taken already, as placement goes on. */
export interface NodeLoad {
  readonly node: NodeView
  freeCpuNanos: number
  freeMemoryBytes: number
  taskCount: number
  /** Tasks of each service on it. */
  readonly perService: Map<string, number>
  readonly hostPorts: Set<string>
}

/** A filter says nothing when the node fits, or why it does not, in words for the user. */
export type Filter = (serviceId: string, spec: ServiceSpec, load: NodeLoad) => string | undefined

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`
const cores = (nanos: number): string => `${(nanos / 1e9).toFixed(2)} cpu`

const ready: Filter = (_id, _spec, { node }) => (node.state === 'ready' ? undefined : `is ${node.state}`)
const available: Filter = (_id, _spec, { node }) =>
  node.availability === 'active' ? undefined : node.availability === 'drain' ? 'is drained' : 'is paused'

const constraints: Filter = (_id, spec, { node }) => {
  const broken = spec.placement.constraints.find((constraint) => !holds(constraint, node))
  return broken === undefined ? undefined : `does not satisfy ${broken}`
}

function holds(constraint: string, node: NodeView): boolean {
  const [, key = '', operator = '', value = ''] = /^(.+?)(==|!=)(.+)$/.exec(constraint) ?? []
  const actual =
    key === 'node.id'
      ? node.id
      : key === 'node.name'
        ? node.name
        : (node.labels[key.slice('node.labels.'.length)] ?? '')
  return operator === '==' ? actual === value : actual !== value
}

const resources: Filter = (_id, spec, load) => {
  const { cpuNanos, memoryBytes } = spec.task.reservations
  if (cpuNanos > load.freeCpuNanos)
    return `needs ${cores(cpuNanos)}, has ${cores(Math.max(0, load.freeCpuNanos))} free`
  if (memoryBytes > load.freeMemoryBytes)
    return `needs ${gib(memoryBytes)} memory, has ${gib(Math.max(0, load.freeMemoryBytes))} free`
  return undefined
}

const hostPorts: Filter = (_id, spec, load) => {
  const taken = spec.ports.find(
    (port) => port.mode === 'host' && load.hostPorts.has(`${port.publishedPort}/${port.protocol}`),
  )
  return taken === undefined ? undefined : `port ${taken.publishedPort}/${taken.protocol} is taken`
}

const perNode: Filter = (id, spec, load) => {
  const max = spec.placement.replicasPerNodeMax
  return max > 0 && (load.perService.get(id) ?? 0) >= max ? `has ${max} replicas already` : undefined
}

export const FILTERS: readonly Filter[] = [ready, available, constraints, resources, hostPorts, perNode]

/** The first reason against this node. */
export function explain(serviceId: string, spec: ServiceSpec, load: NodeLoad): string | undefined {
  for (const filter of FILTERS) {
    const reason = filter(serviceId, spec, load)
    if (reason !== undefined) return reason
  }
  return undefined
}
