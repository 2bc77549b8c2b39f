import { type Clock, Fault, type Logger } from '@berth/core'
import type { Server } from '@grpc/grpc-js'
import type { OwnIdentity } from './ca/own-identity.loop.js'
import type { Config } from './config/env.js'
import { startDispatcher } from './dispatcher/server.grpc.js'
import { Sessions } from './dispatcher/sessions.js'
import { counts, isEmpty } from './orchestrator/plan.js'
import { planReplicated } from './orchestrator/replicated/plan.js'
import { planPlacement } from './scheduler/place.js'
import { AssignmentStore } from './store/assignment.store.js'
import type { ClusterStore } from './store/cluster.store.js'
import type { Database } from './store/database.store.js'
import { LeaderStore } from './store/leader.store.js'
import { NodeWriteStore } from './store/node-write.store.js'
import { OUTBOX_CHANNEL } from './store/outbox.store.js'
import { PlanApplyStore } from './store/plan-apply.store.js'
import { ViewStore } from './store/view.store.js'

export interface LoopsDeps {
  readonly config: Config
  readonly database: Database
  readonly cluster: ClusterStore
  readonly identity: OwnIdentity
  readonly clock: Clock
  readonly logger: Logger
}

const SESSION_SETTINGS = { heartbeatPeriodMs: 3_000, downAfterMs: 10_000 }
const TICK_MS = 500
const RENEW_MS = 3_000
const REAP_MS = 10_000
const ROUNDS_MAX = 4

/**
 * The inward half: leadership, the loops and the agents' server. Only the leader runs rounds; a round is load, plan, apply, for the
 * orchestrator and then the scheduler, and then every connected node is told what changed for it. They meet in the store, not in calls.
 */
export class ClusterLoops {
  private readonly leader: LeaderStore
  private readonly views: ViewStore
  private readonly plans: PlanApplyStore
  private readonly assignments: AssignmentStore
  private readonly nodes: NodeWriteStore
  private readonly stop = new AbortController()
  private sessions: Sessions | undefined
  private epoch = 0n
  private ledSinceMs = 0
  private dirty = true
  private ring: (() => void) | undefined
  private server: Server | undefined

  constructor(private readonly deps: LoopsDeps) {
    this.leader = new LeaderStore(deps.config.databaseUrl, deps.config.holder)
    this.views = new ViewStore(deps.database)
    this.plans = new PlanApplyStore(deps.database)
    this.assignments = new AssignmentStore(deps.database)
    this.nodes = new NodeWriteStore(deps.database)
  }

  isLeader(): boolean {
    return this.sessions !== undefined
  }

  async start(): Promise<void> {
    const { config, identity, cluster, clock, logger, database } = this.deps
    this.server = await startDispatcher({
      listen: config.grpc,
      identity,
      cluster,
      nodes: this.nodes,
      clock,
      logger,
      sessions: () => this.sessions,
      epoch: () => this.epoch,
      wake: () => this.wake(),
      sendFull: (nodeId) => this.tell([nodeId]),
    })
    void database.listen(OUTBOX_CHANNEL, () => this.wake(), this.stop.signal)
    void this.repeat('leadership', RENEW_MS, () => this.lead())
    void this.repeat('liveness', TICK_MS, () => this.watchNodes())
    void this.repeat('reaper', REAP_MS, () => this.reap())
    void this.rounds()
  }

  private wake(): void {
    this.dirty = true
    this.ring?.()
  }

  private async repeat(name: string, periodMs: number, work: () => Promise<void>): Promise<void> {
    while (!this.stop.signal.aborted) {
      await work().catch((error: unknown) => this.complain(name, error))
      await this.deps.clock
        .sleep(this.isLeader() ? periodMs : Math.min(periodMs, 500), this.stop.signal)
        .catch(() => {})
    }
  }

  private complain(what: string, error: unknown): void {
    const failure = Fault.from(error)
    if (failure.code === 'leader.lost') return this.lose()
    this.deps.logger.warn(
      { loop: what, code: failure.code, error: failure.message },
      'a loop could not do its round and will try again',
    )
  }

  // ---- leadership -------------------------------------------------------------------------------

  private async lead(): Promise<void> {
    if (this.sessions) {
      const renewed = await this.leader.renew(this.epoch).catch(() => undefined)
      if (renewed === false) this.lose()
      return
    }
    const epoch = await this.leader.tryLead()
    if (epoch === undefined) return
    await this.nodes.doubt()
    this.epoch = epoch
    this.ledSinceMs = this.deps.clock.monotonicMs()
    this.sessions = new Sessions(SESSION_SETTINGS, epoch)
    this.deps.logger.info({ epoch: String(epoch) }, 'leading')
    this.wake()
  }

  private lose(): void {
    this.sessions?.endAll()
    this.sessions = undefined
    this.deps.logger.warn({ epoch: String(this.epoch) }, 'no longer leading')
  }

  // ---- nodes ------------------------------------------------------------------------------------

  /** A node is down when its session, or this leader's own grace for one, is older than the limit. */
  private async watchNodes(): Promise<void> {
    const { sessions } = this
    if (!sessions) return
    const nowMs = this.deps.clock.monotonicMs()
    const silent = new Set(sessions.silent(nowMs))
    const connected = new Set(sessions.nodeIds())
    const graceOver = nowMs - this.ledSinceMs > SESSION_SETTINGS.downAfterMs
    const view = await this.views.load()
    const absent = view.nodes.filter(
      (node) => node.state !== 'down' && (silent.has(node.id) || (sessions.isUnheard(node.id) && graceOver)),
    )
    if (absent.length > 0) {
      await this.nodes.setState(
        absent.map((node) => node.id),
        'down',
      )
      for (const node of absent)
        this.deps.logger.warn(
          { node: node.name },
          `ready->down: nothing heard for ${SESSION_SETTINGS.downAfterMs / 1000} s`,
        )
      this.wake()
    }
    const heard = sessions.heardSince(nowMs - 2 * TICK_MS)
    const back = view.nodes.filter(
      (node) => node.state !== 'ready' && connected.has(node.id) && !silent.has(node.id),
    )
    if (back.length > 0)
      await this.nodes.setState(
        back.map((node) => node.id),
        'ready',
      )
    if (heard.length > 0) await this.nodes.heartbeats(heard)
  }

  // ---- rounds -----------------------------------------------------------------------------------

  private async rounds(): Promise<void> {
    while (!this.stop.signal.aborted) {
      if (this.dirty && this.isLeader()) {
        this.dirty = false
        await this.round().catch((error: unknown) => {
          this.complain('round', error)
          this.dirty = true
        })
      }
      await this.pause(this.dirty ? 20 : TICK_MS)
      // Delays and monitor windows end without an event: look at least once a tick.
      this.dirty = true
    }
  }

  private async pause(delayMs: number): Promise<void> {
    const timer = new AbortController()
    const woken = new Promise<void>((resolve) => {
      this.ring = resolve
    })
    await Promise.race([
      woken,
      this.deps.clock.sleep(delayMs, AbortSignal.any([timer.signal, this.stop.signal])).catch(() => {}),
    ])
    timer.abort()
  }

  private async round(): Promise<void> {
    for (let pass = 0; pass < ROUNDS_MAX; pass++) {
      const changed = [await this.orchestrate(), await this.schedule()]
      if (!changed.includes(true)) break
    }
    await this.tell(this.sessions?.nodeIds() ?? [])
  }

  private async orchestrate(): Promise<boolean> {
    const plan = planReplicated(await this.views.load(), this.deps.clock.nowMs())
    if (isEmpty(plan)) return false
    await this.plans.applyOrchestration(plan, this.epoch)
    this.deps.logger.info(counts(plan), 'orchestrated')
    return true
  }

  private async schedule(): Promise<boolean> {
    const plan = planPlacement(await this.views.load(), this.deps.clock.nowMs())
    if (plan.placed.length + plan.unplaceable.length === 0) return false
    await this.plans.applyPlacement(plan, this.epoch)
    this.deps.logger.info({ placed: plan.placed.length, unplaceable: plan.unplaceable.length }, 'scheduled')
    return true
  }

  /** Sends each node what changed for it. */
  private async tell(nodeIds: readonly string[]): Promise<void> {
    if (nodeIds.length === 0) return
    const sets = await this.assignments.load(nodeIds)
    for (const [nodeId, set] of sets) this.sessions?.update(nodeId, set)
  }

  private async reap(): Promise<void> {
    if (this.isLeader()) await this.plans.reap(this.epoch)
  }

  async close(): Promise<void> {
    this.stop.abort(new Error('closing'))
    this.ring?.()
    this.sessions?.endAll()
    this.sessions = undefined
    this.server?.forceShutdown()
    await this.leader.close()
  }
}
