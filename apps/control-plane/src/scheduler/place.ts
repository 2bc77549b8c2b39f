import { isTerminal } from '@berth/domain'
import type { ClusterView, NodeView, ServiceView, TaskView } from '../cluster-view/view.js'
import { explain, type NodeLoad } from './filters.js'

export interface Placement {
  readonly taskId: string
  readonly nodeId: string
}
export interface Unplaceable {
  readonly taskId: string
  readonly reason: string
}
export interface PlacePlan {
  readonly placed: readonly Placement[]
  readonly unplaceable: readonly Unplaceable[]
}

/** Puts every waiting task on a node, or says of every node why not. Deterministic. */
export function planPlacement(view: ClusterView, nowMs: number): PlacePlan {
  const loads = nodeLoads(view)
  const services = new Map(view.services.map((service) => [service.id, service]))
  const placed: Placement[] = []
  const refused: TaskView[] = []
  for (const task of waiting(view.tasks, nowMs)) {
    const service = services.get(task.serviceId)
    if (!service) continue
    const fitting = loads.filter((load) => explain(service.id, service.spec, load) === undefined)
    const [best] = fitting.sort((a, b) => compare(service.id, a, b))
    if (best) {
      take(best, service.id, service.spec)
      placed.push({ taskId: task.id, nodeId: best.node.id })
    } else refused.push(task)
  }
  return { placed, unplaceable: refused.flatMap((task) => whyNot(task, services.get(task.serviceId), loads)) }
}

/** The reasons when everything else has its place, so that the next look finds the same ones; nothing when the task says so already. */
function whyNot(
  task: TaskView,
  service: ServiceView | undefined,
  loads: readonly NodeLoad[],
): readonly Unplaceable[] {
  if (!service) return []
  const reasons = loads
    .map((load) => `${load.node.name} ${explain(service.id, service.spec, load)}`)
    .join('; ')
  const reason = loads.length === 0 ? 'no node has joined yet' : `no node fits: ${reasons}`
  return reason === task.message ? [] : [{ taskId: task.id, reason }]
}

const waiting = (tasks: readonly TaskView[], nowMs: number): readonly TaskView[] =>
  tasks
    .filter(
      (task) =>
        task.nodeId === null &&
        task.desiredState === 'running' &&
        !isTerminal(task.state) &&
        task.notBeforeMs <= nowMs,
    )
    .sort((a, b) => a.createdAtMs - b.createdAtMs || a.slot - b.slot || (a.id < b.id ? -1 : 1))

/** Spread: fewest tasks of this service, then fewest tasks, then most free memory. */
function compare(serviceId: string, a: NodeLoad, b: NodeLoad): number {
  return (
    (a.perService.get(serviceId) ?? 0) - (b.perService.get(serviceId) ?? 0) ||
    a.taskCount - b.taskCount ||
    b.freeMemoryBytes - a.freeMemoryBytes ||
    (a.node.name < b.node.name ? -1 : 1)
  )
}

/** What every node carries: tasks that should run on it, and those still stopping, which hold their resources until they are gone. */
export function nodeLoads(view: ClusterView): NodeLoad[] {
  const loads = new Map(view.nodes.map((node) => [node.id, emptyLoad(node)]))
  const services = new Map(view.services.map((service) => [service.id, service]))
  for (const task of view.tasks) {
    const load = task.nodeId === null ? undefined : loads.get(task.nodeId)
    const service = services.get(task.serviceId)
    if (load && service && !isTerminal(task.state))
      take(load, task.serviceId, service.spec, task.desiredState === 'running')
  }
  return [...loads.values()]
}

const emptyLoad = (node: NodeView): NodeLoad => ({
  node,
  freeCpuNanos: node.cpuNanos,
  freeMemoryBytes: node.memoryBytes,
  taskCount: 0,
  perService: new Map(),
  hostPorts: new Set(),
})

function take(
  load: NodeLoad,
  serviceId: string,
  spec: ClusterView['services'][number]['spec'],
  counts = true,
): void {
  load.freeCpuNanos -= spec.task.reservations.cpuNanos
  load.freeMemoryBytes -= spec.task.reservations.memoryBytes
  for (const port of spec.ports)
    if (port.mode === 'host') load.hostPorts.add(`${port.publishedPort}/${port.protocol}`)
  if (!counts) return
  load.taskCount += 1
  load.perService.set(serviceId, (load.perService.get(serviceId) ?? 0) + 1)
}
