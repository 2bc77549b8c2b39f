import { isTaskState, isTerminal } from '@berth/domain'
import type { TaskStatus } from '@berth/proto'
import type { ContainerInfo, ContainerState } from '@berth/runtime'

/**
 * What a task's runner does next. Decided anew after every step from what is wanted and what is there, so that a step may be repeated, cut
 * short by kill -9, or done already.
 */
export type Step =
  | { readonly kind: 'create' }
  | { readonly kind: 'start' }
  /** Running, but not known to be ready yet: wait for its ports, then let connections in. */
  | { readonly kind: 'open' }
  /** Ready: say so and wait for its end. */
  | { readonly kind: 'watch' }
  /** It ended by itself. */
  | { readonly kind: 'conclude' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'remove' }
  /** Nothing is left on this host: say so. */
  | { readonly kind: 'shut' }
  | { readonly kind: 'idle' }

export type Wanted = 'running' | 'shutdown' | 'gone'

/** `gone` is a task the control plane no longer assigns to this node. */
export function planStep(
  wanted: Wanted,
  container: ContainerInfo | undefined,
  status: TaskStatus | undefined,
): Step {
  if (wanted === 'running') return towardsRunning(container, status)
  if (container && MAY_RUN.has(container.state)) return { kind: 'stop' }
  if (container) return { kind: 'remove' }
  return wanted === 'shutdown' && !isOver(status) ? { kind: 'shut' } : { kind: 'idle' }
}

/** Paused by a person on the host, or about to be started again: it ends as a running one does. */
const MAY_RUN: ReadonlySet<ContainerState> = new Set(['running', 'paused', 'restarting'])

function towardsRunning(container: ContainerInfo | undefined, status: TaskStatus | undefined): Step {
  if (isOver(status)) return { kind: 'idle' }
  if (!container) return { kind: 'create' }
  switch (container.state) {
    case 'created':
      return { kind: 'start' }
    case 'running':
      return { kind: container.published ? 'watch' : 'open' }
    case 'exited':
      // A host that booted again brings its own containers back, even while the control plane is away.
      return { kind: container.exit?.reason === 'host_rebooted' ? 'start' : 'conclude' }
    case 'paused':
    case 'restarting':
      return { kind: 'idle' }
    case 'creating':
    case 'removing':
      return { kind: 'remove' }
  }
}

const isOver = (status: TaskStatus | undefined): boolean =>
  status !== undefined && isTaskState(status.state) && isTerminal(status.state)

/** Ended containers worth keeping for their logs: the newest few of a slot that failed by themselves. Gives the ids to keep. */
export function retained(
  containers: readonly ContainerInfo[],
  slotOf: (container: ContainerInfo) => string,
  perSlot: number,
): ReadonlySet<string> {
  const bySlot = new Map<string, ContainerInfo[]>()
  for (const container of containers) {
    const { state, exit } = container
    if (state !== 'exited' || !exit || exit.code === 0 || exit.reason === 'host_rebooted') continue
    bySlot.set(slotOf(container), [...(bySlot.get(slotOf(container)) ?? []), container])
  }
  const newest = [...bySlot.values()].flatMap((all) =>
    all.sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1)).slice(0, perSlot),
  )
  return new Set(newest.map((container) => container.id))
}
