import { isOnNode, isTerminal, type TaskState } from '@berth/domain'
import type { ClusterView, NodeView, ServiceView, TaskView } from '../cluster-view/view.js'
import { isEmpty, type OrchestratorPlan } from '../orchestrator/plan.js'
import { planReplicated } from '../orchestrator/replicated/plan.js'
import { type PlacePlan, planPlacement } from '../scheduler/place.js'
import { aNode, aService, aTask } from './builders.js'

const HISTORY_PER_SLOT = 5
const NEXT: Partial<Record<TaskState, TaskState>> = {
  assigned: 'preparing',
  accepted: 'preparing',
  preparing: 'starting',
  starting: 'running',
}

/**
 * A cluster of data: the real planner and scheduler over rows in memory, and agents that obey. What the stores write is written here in the
 * same words, so that a property test may drive thousands of histories in a second.
 */
export class SimulatedCluster {
  readonly services = new Map<string, ServiceView>()
  readonly tasks = new Map<string, TaskView>()
  readonly nodes = new Map<string, NodeView>()
  /** Releases whose tasks fail as soon as they start. */
  readonly broken = new Set<string>()
  readonly verdicts: string[] = []
  nowMs = 1_000_000

  constructor(view: Partial<ClusterView> = {}) {
    for (const service of view.services ?? []) this.services.set(service.id, service)
    for (const task of view.tasks ?? []) this.tasks.set(task.id, task)
    for (const node of view.nodes ?? []) this.nodes.set(node.id, node)
  }

  static sized(nodes: number, ...services: readonly Parameters<typeof aService>[0][]): SimulatedCluster {
    return new SimulatedCluster({
      nodes: Array.from({ length: nodes }, (_, index) => aNode(String.fromCharCode(97 + index))),
      services: services.map((service) => aService(service)),
    })
  }

  view(): ClusterView {
    return {
      services: [...this.services.values()],
      tasks: [...this.tasks.values()],
      nodes: [...this.nodes.values()],
    }
  }

  // ---- what happens to it -----------------------------------------------------------------------

  node(id: string, change: Partial<NodeView>): void {
    const node = this.nodes.get(id)
    if (node) this.nodes.set(id, { ...node, ...change })
  }

  private service(id: string, change: Partial<ServiceView>): void {
    const service = this.services.get(id)
    if (service) this.services.set(id, { ...service, ...change })
  }

  task(id: string, change: Partial<TaskView>): void {
    const task = this.tasks.get(id)
    if (!task) return
    const moved = change.state !== undefined && change.state !== task.state
    this.tasks.set(id, { ...task, ...(moved ? { stateSinceMs: this.nowMs } : {}), ...change })
  }

  scale(id: string, replicas: number): void {
    const service = this.services.get(id)
    if (service) this.service(id, { spec: { ...service.spec, replicas }, rebalance: true })
  }

  remove(id: string): void {
    this.service(id, { removing: true })
  }

  /** A new release of the service; a broken one fails when it starts. */
  update(id: string, change: Partial<ServiceView['spec']> = {}, broken = false): void {
    const service = this.services.get(id)
    if (!service) return
    const known = [...this.tasks.values()].map((task) => task.releaseNumber)
    const number = Math.max(service.releaseNumber, this.lastRelease, ...known) + 1
    this.lastRelease = number
    const releaseId = `${id}-r${number}`
    if (broken) this.broken.add(releaseId)
    this.service(id, {
      spec: { ...service.spec, ...change },
      releaseId,
      releaseNumber: number,
      deployment: {
        id: `d-${releaseId}`,
        state: 'rolling',
        previousReleaseId: service.releaseId,
        createdAtMs: this.nowMs,
      },
    })
  }
  private lastRelease = 1

  // ---- rounds -----------------------------------------------------------------------------------

  orchestrate(): OrchestratorPlan {
    const plan = planReplicated(this.view(), this.nowMs)
    for (const task of plan.create) {
      const made = aTask({
        ...task,
        nodeId: null,
        state: 'new',
        createdAtMs: this.nowMs,
        stateSinceMs: this.nowMs,
      })
      this.tasks.set(made.id, made)
    }
    for (const id of plan.shutdown) this.stop(id)
    for (const id of plan.orphan) this.task(id, { desiredState: 'shutdown', state: 'orphaned' })
    for (const verdict of plan.verdicts) this.judge(verdict)
    for (const { serviceId, toReleaseId } of plan.rollbacks)
      this.service(serviceId, {
        releaseId: toReleaseId,
        releaseNumber: Number(/\d+$/.exec(toReleaseId)?.[0]),
      })
    for (const id of plan.rebalanced) this.service(id, { rebalance: false })
    for (const id of plan.removeServices) {
      this.services.delete(id)
      for (const task of this.of(id)) this.tasks.delete(task.id)
    }
    return plan
  }

  private stop(id: string): void {
    const task = this.tasks.get(id)
    const unplaced = task?.nodeId === null && (task.state === 'new' || task.state === 'pending')
    this.task(id, { desiredState: 'shutdown', ...(unplaced ? { state: 'shutdown' } : {}) })
  }

  private judge(verdict: OrchestratorPlan['verdicts'][number]): void {
    this.verdicts.push(verdict.state)
    for (const service of this.services.values()) {
      const { deployment } = service
      if (deployment?.id !== verdict.deploymentId) continue
      this.service(service.id, {
        deployment: verdict.state === 'paused' ? { ...deployment, state: 'paused' } : undefined,
      })
    }
  }

  schedule(): PlacePlan {
    const plan = planPlacement(this.view(), this.nowMs)
    for (const { taskId, nodeId } of plan.placed)
      this.task(taskId, { nodeId, state: 'assigned', message: '' })
    for (const { taskId, reason } of plan.unplaceable)
      this.task(taskId, { state: 'pending', message: reason })
    return plan
  }

  /** Every agent that is there takes each of its tasks one step further. */
  agents(): boolean {
    let moved = false
    for (const task of [...this.tasks.values()]) {
      if (!isOnNode(task.state) || this.nodes.get(task.nodeId ?? '')?.state !== 'ready') continue
      const next = task.desiredState === 'running' ? this.forward(task) : 'shutdown'
      if (next === undefined) continue
      this.task(task.id, { state: next })
      moved = true
    }
    return moved
  }

  private forward(task: TaskView): TaskState | undefined {
    return task.state === 'starting' && this.broken.has(task.releaseId) ? 'failed' : NEXT[task.state]
  }

  private reap(): void {
    const dead = [...this.tasks.values()].filter(
      (task) => isTerminal(task.state) && task.desiredState !== 'running',
    )
    for (const tasks of Map.groupBy(dead, (task) => `${task.serviceId}.${task.slot}`).values())
      for (const task of tasks.sort((a, b) => b.createdAtMs - a.createdAtMs).slice(HISTORY_PER_SLOT))
        this.tasks.delete(task.id)
  }

  /** One round as the leader runs it, one step of the agents, and time passes. True when anything changed. */
  round(passMs = 500): boolean {
    const plan = this.orchestrate()
    const placement = this.schedule()
    const moved = this.agents()
    this.reap()
    this.nowMs += passMs
    return !isEmpty(plan) || placement.placed.length + placement.unplaceable.length > 0 || moved
  }

  /** Rounds until `done`; throws with a picture of the cluster when they do not suffice. */
  until(what: string, done: () => boolean, rounds = 400): this {
    for (let i = 0; i < rounds; i++) {
      if (done()) return this
      this.round()
    }
    throw new Error(`${what} was not reached in ${rounds} rounds:\n${this.picture()}`)
  }

  /** Rounds until nothing has changed for as long as any delay can last. */
  settle(rounds = 600): this {
    let quiet = 0
    for (let i = 0; i < rounds; i++) {
      quiet = this.round(quiet > 10 ? 10_000 : 500) ? 0 : quiet + 1
      if (quiet > 20) return this
    }
    throw new Error(`the cluster never came to rest in ${rounds} rounds:\n${this.picture()}`)
  }

  // ---- looking ----------------------------------------------------------------------------------

  of(serviceId: string): readonly TaskView[] {
    return [...this.tasks.values()].filter((task) => task.serviceId === serviceId)
  }
  wanted(serviceId: string): readonly TaskView[] {
    return this.of(serviceId).filter((task) => task.desiredState === 'running' && !isTerminal(task.state))
  }
  running(serviceId: string): readonly TaskView[] {
    return this.of(serviceId).filter((task) => task.state === 'running' && task.desiredState === 'running')
  }
  perNode(serviceId: string): readonly number[] {
    return [...this.nodes.keys()].map(
      (id) => this.running(serviceId).filter((task) => task.nodeId === id).length,
    )
  }
  picture(): string {
    const live = [...this.tasks.values()].filter(
      (task) => !isTerminal(task.state) || task.desiredState === 'running',
    )
    return live
      .map(
        (t) =>
          `${t.serviceId}.${t.slot} ${t.releaseId} ${t.state}/${t.desiredState} on ${t.nodeId} ${t.message}`,
      )
      .join('\n')
  }
}
