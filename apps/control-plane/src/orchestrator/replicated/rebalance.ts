import type { NodeView, ServiceView, TaskView } from '../../cluster-view/view.js'
import { EMPTY_PLAN, type OrchestratorPlan } from '../plan.js'

/**
 * After a user's scale, once everything runs: when the fullest node holds at least two tasks more than the emptiest, the surplus is moved,
 * start-first (a second task in the slot; the first goes when it runs). Asked once per scale, so that it can never churn.
 */
export function planRebalance(
  service: ServiceView,
  kept: readonly TaskView[],
  changes: number,
  nodes: ReadonlyMap<string, NodeView>,
): OrchestratorPlan {
  if (!service.rebalance || changes > 0 || kept.length !== service.spec.replicas) return EMPTY_PLAN
  if (!kept.every((task) => task.state === 'running' && task.releaseId === service.releaseId))
    return EMPTY_PLAN
  const eligible = [...nodes.values()].filter(
    (node) => node.state === 'ready' && node.availability === 'active',
  )
  const moves = service.spec.placement.constraints.length > 0 ? [] : surplusTasks(kept, eligible)
  return {
    ...EMPTY_PLAN,
    rebalanced: [service.id],
    create: moves.map((task) => ({
      serviceId: service.id,
      slot: task.slot,
      releaseId: service.releaseId,
      releaseNumber: service.releaseNumber,
      notBeforeMs: 0,
    })),
  }
}

function surplusTasks(kept: readonly TaskView[], eligible: readonly NodeView[]): readonly TaskView[] {
  const perNode = new Map(eligible.map((node) => [node.id, kept.filter((task) => task.nodeId === node.id)]))
  const moves: TaskView[] = []
  for (;;) {
    const ranked = [...perNode.entries()].sort(([, a], [, b]) => b.length - a.length)
    const fullest = ranked[0]
    const emptiest = ranked.at(-1)
    if (!fullest || !emptiest || fullest[1].length - emptiest[1].length < 2) return moves
    const moved = fullest[1].at(-1)
    if (!moved) return moves
    moves.push(moved)
    perNode.set(fullest[0], fullest[1].slice(0, -1))
    perNode.set(emptiest[0], [...emptiest[1], moved])
  }
}
