import { Fault } from '@berth/core'
import { DesiredState } from '@berth/proto'
import type { ContainerInfo } from '@berth/runtime'
import type { AssignmentSet } from '../assignments/assignment-set.js'
import { SERVICE_LABEL, SLOT_LABEL, TASK_LABEL } from './container-spec.js'
import { retained, type Wanted } from './plan-step.js'
import { type RunnerDeps, TaskRunner } from './task-runner.loop.js'

/** Failed containers kept per slot, for their logs. */
const KEEP_PER_SLOT = 2
/** Before a task whose runner ended by a fault of its own gets another one. */
const AGAIN_MS = 5_000

/** One runner a task: those of the present assignments, and those whose containers must go. */
export class TaskSupervisor {
  private readonly runners = new Map<string, TaskRunner>()
  private readonly stop = new AbortController()
  private queue: Promise<void> = Promise.resolve()
  private latest: AssignmentSet = new Map()

  constructor(private readonly deps: RunnerDeps) {}

  /** Makes the host's tasks follow the set. Idempotent; calls are worked off in order. */
  apply(assignments: AssignmentSet): void {
    this.latest = assignments
    this.queue = this.queue
      .then(() => this.reconcile(assignments))
      .catch((error: unknown) =>
        this.deps.logger.error(
          { error: Fault.from(error).message },
          'the assignments could not be applied and will be with the next set',
        ),
      )
  }

  private async reconcile(assignments: AssignmentSet): Promise<void> {
    const containers = await this.deps.runtime.containers.list()
    const ofTask = new Map(
      containers.flatMap((container): [string, ContainerInfo][] =>
        container.spec.labels?.[TASK_LABEL] ? [[container.spec.labels[TASK_LABEL], container]] : [],
      ),
    )
    for (const assignment of assignments.values()) {
      const wanted: Wanted =
        assignment.desiredState === DesiredState.DESIRED_STATE_RUNNING ? 'running' : 'shutdown'
      const runner = this.runners.get(assignment.taskId)
      if (runner) runner.want(wanted)
      else
        this.add(
          new TaskRunner(
            this.deps,
            assignment.taskId,
            assignment,
            ofTask.get(assignment.taskId)?.id,
            wanted,
            this.stop.signal,
          ),
        )
    }
    this.dismiss(assignments, ofTask)
  }

  /** Tasks the control plane does not know here any more: their containers go, but for the last failed ones. */
  private dismiss(assignments: AssignmentSet, ofTask: ReadonlyMap<string, ContainerInfo>): void {
    const known = new Set([...ofTask.keys(), ...this.runners.keys(), ...this.deps.reporter.taskIds()])
    const keep = retained(
      [...ofTask.values()],
      (container) => `${container.spec.labels?.[SERVICE_LABEL]}/${container.spec.labels?.[SLOT_LABEL]}`,
      KEEP_PER_SLOT,
    )
    for (const taskId of known) {
      if (assignments.has(taskId)) continue
      const container = ofTask.get(taskId)
      const runner = this.runners.get(taskId)
      this.deps.reporter.forget(taskId)
      if (container && keep.has(container.id) && runner?.wanted !== 'shutdown') runner?.release()
      else if (runner) runner.want('gone')
      else if (container)
        this.add(new TaskRunner(this.deps, taskId, undefined, container.id, 'gone', this.stop.signal))
    }
  }

  private add(runner: TaskRunner): void {
    this.runners.set(runner.taskId, runner)
    const ended = runner.done.catch((error: unknown) => {
      this.deps.logger.error(
        { task: runner.taskId, error: Fault.from(error).message },
        'a task runner ended by a fault of its own',
      )
      return this.deps.clock.sleep(AGAIN_MS, this.stop.signal).catch(() => {})
    })
    void ended.then(() => {
      this.runners.delete(runner.taskId)
      // Assigned once more while its container was on the way out, or its runner failed: a new runner takes it from what is there.
      if (this.latest.has(runner.taskId) && !this.stop.signal.aborted) this.apply(this.latest)
    })
  }

  /** Lets go of every task; containers run on. */
  close(): void {
    this.stop.abort(new Error('the agent is stopping'))
  }
}
