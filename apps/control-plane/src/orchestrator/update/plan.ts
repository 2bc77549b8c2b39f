import type { ServiceView, TaskView } from '../../cluster-view/view.js'
import { EMPTY_PLAN, type OrchestratorPlan, type Verdict } from '../plan.js'
import { isFailure } from '../restart/policy.js'

/** Replaces tasks of older releases within the update policy and gives the deployment its verdict, from its own tasks only. Pure. */
export function planUpdate(service: ServiceView, all: readonly TaskView[], kept: readonly TaskView[], missing: number, nowMs: number): OrchestratorPlan {
  const { deployment } = service
  const failure = deployment?.state === 'rolling' ? firstFailure(service, all) : undefined
  if (deployment && failure) return { ...onFailure(service, deployment, failure) }
  const old = kept.filter((task) => task.releaseId !== service.releaseId)
  const fresh = kept.filter((task) => task.releaseId === service.releaseId)
  if (deployment?.state === 'paused') return EMPTY_PLAN
  if (old.length === 0) return verdict(service, fresh, missing, nowMs)
  return replace(service, old, fresh, missing, nowMs)
}

const isGood = (task: TaskView, monitorMs: number, nowMs: number): boolean => task.state === 'running' && nowMs - task.stateSinceMs >= monitorMs

function replace(service: ServiceView, old: readonly TaskView[], fresh: readonly TaskView[], missing: number, nowMs: number): OrchestratorPlan {
  const { parallelism, order, monitorMs } = service.spec.update
  const underway = fresh.filter((task) => !isGood(task, monitorMs, nowMs)).length + missing
  const room = (parallelism === 0 ? Number.POSITIVE_INFINITY : parallelism) - underway
  const replaced = new Set(fresh.map((task) => task.slot))
  const next = old.filter((task) => !replaced.has(task.slot)).slice(0, Math.max(0, room))
  if (order === 'stop-first') return { ...EMPTY_PLAN, shutdown: next.map((task) => task.id) }
  return { ...EMPTY_PLAN, create: next.map((task) => ({ serviceId: service.id, slot: task.slot, releaseId: service.releaseId, releaseNumber: service.releaseNumber, notBeforeMs: 0 })) }
}

function verdict(service: ServiceView, fresh: readonly TaskView[], missing: number, nowMs: number): OrchestratorPlan {
  const { deployment, spec } = service
  if (deployment?.state !== 'rolling' || missing > 0 || fresh.length < spec.replicas) return EMPTY_PLAN
  if (!fresh.every((task) => isGood(task, spec.update.monitorMs, nowMs))) return EMPTY_PLAN
  return { ...EMPTY_PLAN, verdicts: [{ deploymentId: deployment.id, state: 'succeeded', message: `${spec.replicas} of ${spec.replicas} running` }] }
}

const firstFailure = (service: ServiceView, all: readonly TaskView[]): TaskView | undefined =>
  all
    .filter((task) => task.releaseId === service.releaseId && isFailure(task) && task.stateSinceMs >= (service.deployment?.createdAtMs ?? 0))
    .sort((a, b) => a.stateSinceMs - b.stateSinceMs)[0]

function onFailure(service: ServiceView, deployment: NonNullable<ServiceView['deployment']>, failure: TaskView): OrchestratorPlan {
  const why = `task ${service.name}.${failure.slot}: ${failure.message || failure.code || failure.state}`
  const finish = (state: Verdict['state'], message: string): OrchestratorPlan => ({ ...EMPTY_PLAN, verdicts: [{ deploymentId: deployment.id, state, message }] })
  const policy = service.spec.update.onFailure
  if (policy === 'pause') return finish('paused', `paused: ${why}`)
  if (policy === 'continue' || deployment.previousReleaseId === null) return finish('failed', why)
  return { ...finish('rolled_back', `rolled back: ${why}`), rollbacks: [{ serviceId: service.id, toReleaseId: deployment.previousReleaseId }] }
}
