/**
 * The life of a task: one attempt to run one replica. States only go up (docs/task-model.md).
 *
 *   new → pending → assigned → accepted → preparing → starting → running → complete | shutdown | failed
 *          (no node yet)              └───────────── rejected ──────────┘      orphaned (its node was lost)
 */
export const TASK_STATES = [
  'new',
  'pending',
  'assigned',
  'accepted',
  'preparing',
  'starting',
  'running',
  'complete',
  'shutdown',
  'failed',
  'rejected',
  'orphaned',
] as const
export type TaskState = (typeof TASK_STATES)[number]

/** What the control plane wants of a task; only the control plane writes it. */
export const DESIRED_STATES = ['running', 'shutdown', 'remove'] as const
export type DesiredState = (typeof DESIRED_STATES)[number]

const ORDER = new Map<string, number>(TASK_STATES.map((state, index) => [state, index]))

/** Negative when `a` comes before `b`. */
export const compareTaskStates = (a: TaskState, b: TaskState): number =>
  (ORDER.get(a) ?? 0) - (ORDER.get(b) ?? 0)

export const isTaskState = (text: string): text is TaskState => ORDER.has(text)

const TERMINAL: ReadonlySet<TaskState> = new Set(['complete', 'shutdown', 'failed', 'rejected', 'orphaned'])

/** No process will run for this task again. */
export const isTerminal = (state: TaskState): boolean => TERMINAL.has(state)

/** Its node is working on it or running it. */
export const isOnNode = (state: TaskState): boolean =>
  compareTaskStates(state, 'assigned') >= 0 && !isTerminal(state)

/** A report may move a task up, or repeat its state with newer details; anything else is stale and dropped. */
export const mayMove = (from: TaskState, to: TaskState): boolean =>
  from === to || (!isTerminal(from) && compareTaskStates(to, from) > 0)
