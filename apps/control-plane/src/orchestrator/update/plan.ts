import type { ServiceView, TaskView } from '../../cluster-view/view.js'
import { EMPTY_PLAN, newTask, type OrchestratorPlan, type Verdict } from '../plan.js'
import { isFailure, lastEnd, nextStartMs } from '../restart/policy.js'

export interface UpdateInput {
  readonly service: ServiceView
  /** Every task of the service, ended ones too. */
  readonly all: readonly TaskView[]
  readonly kept: readonly TaskView[]
  /** Tasks that this round makes for empty slots. */
  readonly missing: number
  /** Slots whose task ended well and needs no successor. */
  readonly done: number
  readonly nowMs: number
}

/** Replaces tasks of older releases within the update policy and gives the deployment its verdict, from its own tasks only. Pure. */
export function planUpdate(input: UpdateInput): OrchestratorPlan {
  const { service, all, kept } = input
  const { deployment } = service
  const failure = deployment?.state === 'rolling' ? firstFailure(service, all) : undefined
  if (deployment && failure) return onFailure(service, deployment, failure)
  const old = kept.filter((task) => task.releaseId !== service.releaseId)
  const fresh = kept.filter((task) => task.releaseId === service.releaseId)
  if (deployment?.state === 'paused') return EMPTY_PLAN
  return old.length === 0 ? verdict(input, fresh) : replace(input, old, fresh)
}

const isGood = (task: TaskView, monitorMs: number, nowMs: number): boolean =>
  task.state === 'running' && nowMs - task.stateSinceMs >= monitorMs

/** What only one task of a node can have cannot be had by the new one before the old one gives it up. */
function orderOf({ spec }: ServiceView): 'start-first' | 'stop-first' {
  const exclusive = spec.ports.some((port) => port.mode === 'host') || spec.placement.replicasPerNodeMax > 0
  return exclusive ? 'stop-first' : spec.update.order
}

function replace(input: UpdateInput, old: readonly TaskView[], fresh: readonly TaskView[]): OrchestratorPlan {
  const { service, all, missing, nowMs } = input
  const { parallelism, monitorMs } = service.spec.update
  const underway = fresh.filter((task) => !isGood(task, monitorMs, nowMs)).length + missing
  const room = (parallelism === 0 ? Number.POSITIVE_INFINITY : parallelism) - underway
  const replaced = new Set(fresh.map((task) => task.slot))
  const next = old.filter((task) => !replaced.has(task.slot)).slice(0, Math.max(0, room))
  if (orderOf(service) === 'stop-first') {
    // A drain may have made the new one already: it waits for what the old one has.
    const waiting = new Set(fresh.filter((task) => task.nodeId === null).map((task) => task.slot))
    const inTheWay = old.filter((task) => waiting.has(task.slot))
    return { ...EMPTY_PLAN, shutdown: [...next, ...inTheWay].map((task) => task.id) }
  }
  const turns = next.map((task) => ({ task, startMs: nextStartMs(service, all, task.slot, nowMs) }))
  return {
    ...EMPTY_PLAN,
    create: turns.flatMap(({ task, startMs }) =>
      startMs === undefined ? [] : [newTask(service, task.slot, startMs)],
    ),
    // A job whose new release has ended well already needs neither the old task nor another new one.
    shutdown: turns
      .filter((turn) => turn.startMs === undefined)
      .filter(({ task }) => lastEnd(service, all, task.slot)?.state === 'complete')
      .map(({ task }) => task.id),
  }
}

function verdict(input: UpdateInput, fresh: readonly TaskView[]): OrchestratorPlan {
  const { service, missing, done, nowMs } = input
  const { deployment, spec } = service
  if (deployment?.state !== 'rolling' || missing > 0 || fresh.length < spec.replicas - done) return EMPTY_PLAN
  if (!fresh.every((task) => isGood(task, spec.update.monitorMs, nowMs))) return EMPTY_PLAN
  const ended = done > 0 ? `, ${done} ended well` : ''
  const message = `${fresh.length} of ${spec.replicas} running${ended}`
  return { ...EMPTY_PLAN, verdicts: [{ deploymentId: deployment.id, state: 'succeeded', message }] }
}

const firstFailure = (service: ServiceView, all: readonly TaskView[]): TaskView | undefined =>
  all
    .filter(
      (task) =>
        task.releaseId === service.releaseId &&
        isFailure(task) &&
        task.stateSinceMs >= (service.deployment?.createdAtMs ?? 0),
    )
    .sort((a, b) => a.stateSinceMs - b.stateSinceMs)[0]

function onFailure(
  service: ServiceView,
  deployment: NonNullable<ServiceView['deployment']>,
  failure: TaskView,
): OrchestratorPlan {
  const why = `task ${service.name}.${failure.slot}: ${failure.message || failure.code || failure.state}`
  const finish = (state: Verdict['state'], message: string): OrchestratorPlan => ({
    ...EMPTY_PLAN,
    verdicts: [{ deploymentId: deployment.id, state, message }],
  })
  const policy = service.spec.update.onFailure
  if (policy === 'pause') return finish('paused', `paused: ${why}`)
  if (policy === 'continue' || deployment.previousReleaseId === null) return finish('failed', why)
  return {
    ...finish('rolled_back', `rolled back: ${why}`),
    rollbacks: [{ serviceId: service.id, toReleaseId: deployment.previousReleaseId }],
  }
}
