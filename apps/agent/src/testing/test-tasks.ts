import { silentLogger, systemClock } from '@berth/core'
import type { TaskStatus } from '@berth/proto'
import { openRuntime, type Runtime, type RuntimeOptions } from '@berth/runtime'
import { Reporter } from '../report/reporter.loop.js'
import { AgentStore } from '../state/agent.store.js'
import { Slots } from '../tasks/slots.js'
import { TaskSupervisor } from '../tasks/supervisor.loop.js'

/** The part of an agent that makes tasks follow assignments, on a real runtime and without a control plane. */
export interface TestTasks {
  readonly runtime: Runtime
  readonly store: AgentStore
  readonly tasks: TaskSupervisor
  /** The latest that was reported of the task. */
  said(taskId: string): TaskStatus | undefined
  /** As when the agent ends: containers run on. */
  close(): Promise<void>
}

/** `see` may stand between the tasks and the runtime. */
export async function startTasks(
  options: RuntimeOptions,
  see: (runtime: Runtime) => Runtime = (runtime) => runtime,
): Promise<TestTasks> {
  const runtime = await openRuntime(options)
  const store = new AgentStore(options.root)
  const reporter = new Reporter(store, systemClock)
  const tasks = new TaskSupervisor({
    runtime: see(runtime),
    reporter,
    clock: systemClock,
    logger: silentLogger,
    nodeName: 'server-a',
    slots: new Slots(2),
  })
  return {
    runtime,
    store,
    tasks,
    said: (taskId) => reporter.get(taskId),
    close: async () => {
      tasks.close()
      await runtime.close()
      store.close()
    },
  }
}
