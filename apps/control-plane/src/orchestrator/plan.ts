import type { ServiceView } from '../cluster-view/view.js'

/** What a round of the orchestrator wants written; data that can be printed. */
export interface OrchestratorPlan {
  readonly create: readonly NewTask[]
  /** Tasks whose desired state becomes shutdown. */
  readonly shutdown: readonly string[]
  /** Tasks whose node was lost: over for us, whatever the node does. */
  readonly orphan: readonly string[]
  readonly verdicts: readonly Verdict[]
  readonly rollbacks: readonly { readonly serviceId: string; readonly toReleaseId: string }[]
  readonly rebalanced: readonly string[]
  readonly removeServices: readonly string[]
}

export interface NewTask {
  readonly serviceId: string
  readonly slot: number
  readonly releaseId: string
  readonly releaseNumber: number
  readonly notBeforeMs: number
}

export const newTask = (service: ServiceView, slot: number, notBeforeMs: number): NewTask => ({
  serviceId: service.id,
  slot,
  releaseId: service.releaseId,
  releaseNumber: service.releaseNumber,
  notBeforeMs,
})

export interface Verdict {
  readonly deploymentId: string
  readonly state: 'succeeded' | 'failed' | 'rolled_back' | 'paused'
  readonly message: string
}

export const EMPTY_PLAN: OrchestratorPlan = {
  create: [],
  shutdown: [],
  orphan: [],
  verdicts: [],
  rollbacks: [],
  rebalanced: [],
  removeServices: [],
}

export function mergePlans(plans: readonly OrchestratorPlan[]): OrchestratorPlan {
  return {
    create: plans.flatMap((plan) => plan.create),
    shutdown: plans.flatMap((plan) => plan.shutdown),
    orphan: plans.flatMap((plan) => plan.orphan),
    verdicts: plans.flatMap((plan) => plan.verdicts),
    rollbacks: plans.flatMap((plan) => plan.rollbacks),
    rebalanced: plans.flatMap((plan) => plan.rebalanced),
    removeServices: plans.flatMap((plan) => plan.removeServices),
  }
}

export const isEmpty = (plan: OrchestratorPlan): boolean =>
  Object.values(plan).every((list) => list.length === 0)

/** One line for the log. */
export const counts = (plan: OrchestratorPlan): Record<string, number> =>
  Object.fromEntries(
    Object.entries(plan)
      .map(([key, list]): [string, number] => [key, (list as readonly unknown[]).length])
      .filter(([, count]) => count > 0),
  )
