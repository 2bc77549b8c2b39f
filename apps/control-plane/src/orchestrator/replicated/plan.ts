import { isOnNode, isTerminal } from '@berth/domain'
import type { ClusterView, NodeView, ServiceView, TaskView } from '../../cluster-view/view.js'
import { EMPTY_PLAN, mergePlans, type NewTask, newTask, type OrchestratorPlan } from '../plan.js'
import { lastEnd, nextStartMs } from '../restart/policy.js'
import { planUpdate } from '../update/plan.js'
import { planRebalance } from './rebalance.js'

/** Of three or more nodes, this share gone at once is taken for our own isolation: nothing is moved (reliability.md F25). */
const ISOLATION_SHARE = 0.55
const ISOLATION_NODES = 3

/** Desired slots against tasks, for every service. Pure. */
export function planReplicated(view: ClusterView, nowMs: number): OrchestratorPlan {
  const nodes = new Map(view.nodes.map((node) => [node.id, node]))
  const down = view.nodes.filter((node) => node.state === 'down').length
  const isolated = view.nodes.length >= ISOLATION_NODES && down / view.nodes.length >= ISOLATION_SHARE
  const byService = Map.groupBy(view.tasks, (task) => task.serviceId)
  return mergePlans(
    view.services.map((service) =>
      planService(service, byService.get(service.id) ?? [], nodes, isolated, nowMs),
    ),
  )
}

function planService(
  service: ServiceView,
  tasks: readonly TaskView[],
  nodes: ReadonlyMap<string, NodeView>,
  isolated: boolean,
  nowMs: number,
): OrchestratorPlan {
  const wanted = tasks.filter((task) => task.desiredState === 'running')
  if (service.removing) return planRemoval(service, tasks, wanted, nodes)
  const lost = isolated ? [] : wanted.filter((task) => isOnNode(task.state) && isLost(task, nodes))
  const ended = wanted.filter((task) => isTerminal(task.state))
  const gone = new Set([...lost, ...ended])
  const live = wanted.filter((task) => !gone.has(task))
  const base: OrchestratorPlan = {
    ...EMPTY_PLAN,
    shutdown: ended.map((task) => task.id),
    orphan: lost.map((task) => task.id),
  }
  const stoppingLost = isolated
    ? []
    : tasks.filter((task) => task.desiredState === 'shutdown' && isOnNode(task.state) && isLost(task, nodes))
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

function planRemoval(
  service: ServiceView,
  tasks: readonly TaskView[],
  wanted: readonly TaskView[],
  nodes: ReadonlyMap<string, NodeView>,
): OrchestratorPlan {
  const alive = tasks.filter((task) => !isTerminal(task.state))
  const onNode = alive.filter((task) => task.nodeId !== null && !isLost(task, nodes))
  const elsewhere = alive.filter((task) => !onNode.includes(task))
  if (alive.length === 0) return { ...EMPTY_PLAN, removeServices: [service.id] }
  return { ...EMPTY_PLAN, shutdown: wanted.map((task) => task.id), orphan: elsewhere.map((task) => task.id) }
}

function planSlots(
  service: ServiceView,
  all: readonly TaskView[],
  live: readonly TaskView[],
  nodes: ReadonlyMap<string, NodeView>,
  nowMs: number,
): OrchestratorPlan {
  const { replicas } = service.spec
  const bySlot = Map.groupBy(live, (task) => task.slot)
  const surplus = pickSurplus(service, bySlot, replicas).flatMap((slot) => bySlot.get(slot) ?? [])
  const kept = live.filter((task) => !surplus.includes(task))
  const doubles = planDoubles(service, kept, nodes)
  const taken = new Set(kept.map((task) => task.slot))
  const over = slotsLeftEmpty(service, all, taken, nowMs)
  const missing = fillSlots(service, all, taken, replicas - over.size, nowMs)
  const filled = kept.filter((task) => !doubles.includes(task.id))
  const done = [...over.values()].filter((last) => last.state === 'complete').length
  const update = planUpdate({ service, all, kept: filled, missing: missing.length, done, nowMs })
  const started = new Set(update.create.map((task) => task.slot))
  return mergePlans([
    { ...EMPTY_PLAN, shutdown: [...surplus.map((task) => task.id), ...doubles], create: missing },
    update,
    planDrain({ service, all, kept: filled, started, nodes, nowMs }),
    planRebalance(service, filled, missing.length + surplus.length + doubles.length, nodes),
  ])
}

/** Slots to give up when there are too many: those not running first, then from the fullest node, then the highest. */
function pickSurplus(
  service: ServiceView,
  bySlot: ReadonlyMap<number, readonly TaskView[]>,
  replicas: number,
): readonly number[] {
  const left = new Map([...bySlot].map(([slot, tasks]) => [slot, tasks[0]]))
  const chosen: number[] = []
  while (left.size > replicas) {
    const perNode = new Map<string, number>()
    for (const task of left.values())
      if (task?.nodeId) perNode.set(task.nodeId, (perNode.get(task.nodeId) ?? 0) + 1)
    const rank = ([slot, task]: [number, TaskView | undefined]) => [
      task?.state === 'running' ? 1 : 0,
      -(perNode.get(task?.nodeId ?? '') ?? 0),
      task?.releaseNumber === service.releaseNumber ? 1 : 0,
      -slot,
    ]
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

/**
 * More than one task in a slot (an update or a move under way): the newest of the wanted release is the one to come, and once it runs the
 * others go. Until then one that runs stays beside it; whatever else is there was overtaken and goes.
 */
function planDoubles(
  service: ServiceView,
  kept: readonly TaskView[],
  nodes: ReadonlyMap<string, NodeView>,
): readonly string[] {
  const wanted = (task: TaskView) => (task.releaseId === service.releaseId ? 1 : 0)
  return [...Map.groupBy(kept, (task) => task.slot).values()].flatMap((tasks) => {
    const [newest, ...older] = tasks.toSorted(
      (a, b) => wanted(b) - wanted(a) || b.createdAtMs - a.createdAtMs || (a.id < b.id ? -1 : 1),
    )
    const runs = older.find((task) => task.state === 'running')
    const stays = newest && runs && isIdleMove(newest, runs, nodes) ? [runs] : [newest]
    if (newest?.state !== 'running' && runs) stays.push(runs)
    return tasks.filter((task) => !stays.includes(task)).map((task) => task.id)
  })
}

/** A move that found no place, off a node that may keep its task (a drain taken back, a rebalance that does not fit). */
const isIdleMove = (newest: TaskView, runs: TaskView, nodes: ReadonlyMap<string, NodeView>): boolean =>
  newest.state === 'pending' &&
  newest.releaseId === runs.releaseId &&
  nodes.get(runs.nodeId ?? '')?.availability !== 'drain'

/** Empty slots that the restart policy leaves empty, with how they ended: they count as filled, no other slot takes their place. */
function slotsLeftEmpty(
  service: ServiceView,
  all: readonly TaskView[],
  taken: ReadonlySet<number>,
  nowMs: number,
): ReadonlyMap<number, TaskView> {
  const empty = [...new Set(all.map((task) => task.slot))].filter((slot) => !taken.has(slot))
  return new Map(
    empty.flatMap((slot) => {
      const last = lastEnd(service, all, slot)
      return last && nextStartMs(service, all, slot, nowMs) === undefined ? [[slot, last] as const] : []
    }),
  )
}

function fillSlots(
  service: ServiceView,
  all: readonly TaskView[],
  taken: ReadonlySet<number>,
  wanted: number,
  nowMs: number,
): readonly NewTask[] {
  const created: NewTask[] = []
  for (let slot = 1; taken.size + created.length < wanted; slot++) {
    const notBeforeMs = taken.has(slot) ? undefined : nextStartMs(service, all, slot, nowMs)
    if (notBeforeMs !== undefined) created.push(newTask(service, slot, notBeforeMs))
  }
  return created
}

interface DrainInput {
  readonly service: ServiceView
  readonly all: readonly TaskView[]
  readonly kept: readonly TaskView[]
  /** Slots that get a new task anyway. */
  readonly started: ReadonlySet<number>
  readonly nodes: ReadonlyMap<string, NodeView>
  readonly nowMs: number
}

/** Tasks on drained nodes get a second one elsewhere first. */
function planDrain({ service, all, kept, started, nodes, nowMs }: DrainInput): OrchestratorPlan {
  const perSlot = Map.groupBy(kept, (task) => task.slot)
  const leaving = kept.filter(
    (task) =>
      task.nodeId !== null &&
      nodes.get(task.nodeId)?.availability === 'drain' &&
      perSlot.get(task.slot)?.length === 1 &&
      !started.has(task.slot),
  )
  const create = leaving.flatMap((task) => {
    const since = all.filter((other) => other.createdAtMs > task.createdAtMs)
    const notBeforeMs = nextStartMs(service, since, task.slot, nowMs)
    return notBeforeMs === undefined ? [] : [newTask(service, task.slot, notBeforeMs)]
  })
  return { ...EMPTY_PLAN, create }
}
