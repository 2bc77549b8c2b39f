import type { Service, Task } from '@berth/domain'

export type Health = 'healthy' | 'updating' | 'degraded' | 'stopped'

/** One word for a service: a release rolling out is not trouble, missing replicas without one are. */
export function healthOf(service: Service): Health {
  const { desired, running, pending } = service.status
  if (service.deployment?.state === 'rolling' && pending.length === 0) return 'updating'
  if (desired === 0 && running === 0) return 'stopped'
  return running >= desired && pending.length === 0 ? 'healthy' : 'degraded'
}

/** What a person calls the state: a task asked to stop that has not yet is stopping. */
export const shownState = (task: Task): Task['state'] | 'stopping' =>
  task.desiredState !== 'running' && !isOver(task) ? 'stopping' : task.state

const OVER: ReadonlySet<Task['state']> = new Set(['complete', 'shutdown', 'failed', 'rejected', 'orphaned'])
export const isOver = (task: Task): boolean => OVER.has(task.state)

/** Tasks to draw: those wanted and those on their way out. */
export const presentTasks = (tasks: readonly Task[]): readonly Task[] =>
  tasks
    .filter((task) => task.desiredState === 'running' || !isOver(task))
    .toSorted((a, b) => a.slot - b.slot || (a.createdAt < b.createdAt ? -1 : 1))

export interface NodeGroup {
  /** undefined: not placed yet. */
  readonly node: string | undefined
  readonly tasks: readonly Task[]
}

/** By node in name order, what waits for a place last. */
export function groupByNode(tasks: readonly Task[], nodeNames: readonly string[]): readonly NodeGroup[] {
  const names = [...new Set([...nodeNames, ...tasks.flatMap((task) => task.nodeName ?? [])])].toSorted()
  const groups = names.map(
    (node): NodeGroup => ({ node, tasks: tasks.filter((task) => task.nodeName === node) }),
  )
  const waiting = tasks.filter((task) => task.nodeName === null)
  return waiting.length > 0 ? [...groups, { node: undefined, tasks: waiting }] : groups
}
