import { isOnNode, isTerminal } from '@berth/domain'
import type { ClusterView, NodeView, ServiceView, TaskView } from '../../cluster-view/view.js'
import { planUpdate } from '../update/plan.js'
import { EMPTY_PLAN, mergePlans, type NewTask, type OrchestratorPlan } from '../plan.js'
import { planRebalance } from './rebalance.js'
import { restartDelayMs } from '../restart/policy.js'

/** Of three or more nodes, this share gone at once is taken for our own isolation: nothing is moved (reliability.md F25). */
const ISOLATION_SHARE = 0.55
const ISOLATION_NODES = 3

/** Desired slots against tasks, for every service. Pure. */
export function planReplicated(view: ClusterView, nowMs: number): OrchestratorPlan {
  const nodes = new Map(view.nodes.map((node) => [node.id, node]))
  const down = view.nodes.filter((node) => node.state === 'down').length
  const isolated = view.nodes.length >= ISOLATION_NODES && down / view.nodes.length >= ISOLATION_SHARE
  const byService = Map.groupBy(view.tasks, (task) => task.serviceId)
  return mergePlans(view.services.map((service) => planService(service, byService.get(service.id) ?? [], nodes, isolated, nowMs)))
}

function planService(service: ServiceView, tasks: readonly TaskView[], nodes: ReadonlyMap<string, NodeView>, isolated: boolean, nowMs: number): OrchestratorPlan {
  const wanted = tasks.filter((task) => task.desiredState === 'running')
  if (service.removing) return planRemoval(service, tasks, wanted, nodes)
  const lost = isolated ? [] : wanted.filter((task) => isOnNode(task.state) && isLost(task, nodes))
  const ended = wanted.filter((task) => isTerminal(task.state))
  const gone = new Set([...lost, ...ended])
  const live = wanted.filter((task) => !gone.has(task))
  const base: OrchestratorPlan = { ...EMPTY_PLAN, shutdown: ended.map((task) => task.id), orphan: lost.map((task) => task.id) }
  const stoppingLost = isolated ? [] : tasks.filter((task) => task.desiredState === 'shutdown' && isOnNode(task.state) && isLost(task, nodes))
  return mergePlans([
    base,
    { ...EMPTY_PLAN, orphan: stoppingLost.map((task) => task.id) },
    planSlots(service, tasks, live, nodes, nowMs),
  ])
}

const isLost = (task: TaskView, nodes: ReadonlyMap<string, NodeView>): boolean => {
  const node = task.nodeId === null ? undefined : nodes.get(task.nodeId)
  return task.nodeId !== null && (node === undefined || node.state === 'down')
}

function planRemoval(service: ServiceView, tasks: readonly TaskView[], wanted: readonly TaskView[], nodes: ReadonlyMap<string, NodeView>): OrchestratorPlan {
  const alive = tasks.filter((task) => !isTerminal(task.state))
  const onNode = alive.filter((task) => task.nodeId !== null && !isLost(task, nodes))
  const elsewhere = alive.filter((task) => !onNode.includes(task))
  if (alive.length === 0) return { ...EMPTY_PLAN, removeServices: [service.id] }
  return { ...EMPTY_PLAN, shutdown: wanted.map((task) => task.id), orphan: elsewhere.map((task) => task.id) }
}

function planSlots(service: ServiceView, all: readonly TaskView[], live: readonly TaskView[], nodes: ReadonlyMap<string, NodeView>, nowMs: number): OrchestratorPlan {
  const { replicas } = service.spec
  const bySlot = Map.groupBy(live, (task) => task.slot)
  const surplusSlots = pickSurplus(service, bySlot, replicas)
  const surplus = surplusSlots.flatMap((slot) => bySlot.get(slot) ?? [])
  const kept = live.filter((task) => !surplus.includes(task))
  const doubles = planDoubles(service, kept)
  const missing = fillSlots(service, all, new Set(kept.map((task) => task.slot)), replicas, nowMs)
  const filled = kept.filter((task) => !doubles.includes(task.id))
  return mergePlans([
    { ...EMPTY_PLAN, shutdown: [...surplus.map((task) => task.id), ...doubles], create: missing },
    planUpdate(service, all, filled, missing.length, nowMs),
    planDrain(service, filled, nodes),
    planRebalance(service, filled, missing.length + surplus.length + doubles.length, nodes),
  ])
}

/** Slots to give up when there are too many: those not running first, then from the fullest node, then the highest. */
function pickSurplus(service: ServiceView, bySlot: ReadonlyMap<number, readonly TaskView[]>, replicas: number): readonly number[] {
  const left = new Map([...bySlot].map(([slot, tasks]) => [slot, tasks[0]]))
  const chosen: number[] = []
  while (left.size > replicas) {
    const perNode = new Map<string, number>()
    for (const task of left.values()) if (task?.nodeId) perNode.set(task.nodeId, (perNode.get(task.nodeId) ?? 0) + 1)
    const rank = ([slot, task]: [number, TaskView | undefined]) => [task?.state === 'running' ? 1 : 0, -(perNode.get(task?.nodeId ?? '') ?? 0), task?.releaseNumber === service.releaseNumber ? 1 : 0, -slot]
    const [first] = [...left].sort((a, b) => compareRanks(rank(a), rank(b)))
    if (!first) break
    chosen.push(first[0])
    left.delete(first[0])
  }
  return chosen
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  const index = a.findIndex((value, i) => value !== b[i])
  return index < 0 ? 0 : (a[index] ?? 0) - (b[index] ?? 0)
}

/** Two tasks in one slot (an update or a move under way): once the newer runs, the older goes. */
function planDoubles(service: ServiceView, kept: readonly TaskView[]): readonly string[] {
  return [...Map.groupBy(kept, (task) => task.slot).values()].flatMap((tasks) => {
    if (tasks.length < 2) return []
    const [newest, ...older] = [...tasks].sort((a, b) => b.releaseNumber - a.releaseNumber || b.createdAtMs - a.createdAtMs || (a.id < b.id ? -1 : 1))
    const present = tasks.find((task) => task.releaseId === service.releaseId && task.state === 'running') ?? newest
    return present?.state === 'running' ? [newest, ...older].flatMap((task) => (task && task !== present ? [task.id] : [])) : []
  })
}

function fillSlots(service: ServiceView, all: readonly TaskView[], taken: ReadonlySet<number>, replicas: number, nowMs: number): readonly NewTask[] {
  const created: NewTask[] = []
  for (let slot = 1; taken.size + created.length < replicas && slot <= replicas + taken.size; slot++) {
    if (taken.has(slot)) continue
    const last = lastEnd(service, all, slot)
    const delayMs = last === undefined ? 0 : restartDelayMs(service, all, last, nowMs)
    if (delayMs === undefined) continue
    created.push({ serviceId: service.id, slot, releaseId: service.releaseId, releaseNumber: service.releaseNumber, notBeforeMs: nowMs + delayMs })
  }
  return created
}

/** How the slot's newest task of this release ended by itself; what we stopped or lost does not count. */
const lastEnd = (service: ServiceView, all: readonly TaskView[], slot: number): TaskView | undefined =>
  all
    .filter((task) => task.slot === slot && task.releaseId === service.releaseId && ['complete', 'failed', 'rejected'].includes(task.state))
    .sort((a, b) => b.stateSinceMs - a.stateSinceMs)[0]

/** Tasks on drained nodes get a second one elsewhere first. */
function planDrain(service: ServiceView, kept: readonly TaskView[], nodes: ReadonlyMap<string, NodeView>): OrchestratorPlan {
  const perSlot = Map.groupBy(kept, (task) => task.slot)
  const leaving = kept.filter((task) => task.nodeId !== null && nodes.get(task.nodeId)?.availability === 'drain' && perSlot.get(task.slot)?.length === 1)
  return { ...EMPTY_PLAN, create: leaving.map((task) => ({ serviceId: service.id, slot: task.slot, releaseId: service.releaseId, releaseNumber: service.releaseNumber, notBeforeMs: 0 })) }
}
