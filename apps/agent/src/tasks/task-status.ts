import type { TaskState } from '@berth/domain'
import type { TaskStatus } from '@berth/proto'
import type { ContainerExit, ContainerInfo } from '@berth/runtime'

export interface StatusInput {
  readonly taskId: string
  readonly state: TaskState
  readonly message?: string
  readonly code?: string
  readonly exitCode?: number
  readonly container?: ContainerInfo | undefined
  readonly nowMs: number
}

export const taskStatus = ({
  taskId,
  state,
  message,
  code,
  exitCode,
  container,
  nowMs,
}: StatusInput): TaskStatus => ({
  taskId,
  state,
  message: message ?? '',
  code: code ?? '',
  ...(exitCode === undefined ? { exitCode: undefined } : { exitCode }),
  containerId: container?.id ?? '',
  pid: container?.pid ?? 0,
  ipAddress: container?.ipAddress ?? '',
  restartCount: container?.restartCount ?? 0,
  observedAtMs: BigInt(nowMs),
})

/** How a container that ended by itself concludes its task, in words a person can act on. */
export function conclusion(exit: ContainerExit): {
  readonly state: 'complete' | 'failed'
  readonly message: string
  readonly code: string
  readonly exitCode: number
} {
  if (exit.code === 0 && exit.reason === undefined)
    return { state: 'complete', message: 'the process ended with exit code 0', code: '', exitCode: 0 }
  if (exit.oomKilled)
    return {
      state: 'failed',
      message: 'killed by the kernel: it used more memory than its limit allows',
      code: 'task.out_of_memory',
      exitCode: exit.code,
    }
  if (exit.reason === 'start_failed')
    return {
      state: 'failed',
      message: exit.message ?? 'the process could not be started',
      code: 'task.start_failed',
      exitCode: exit.code,
    }
  if (exit.reason === 'monitor_lost')
    return {
      state: 'failed',
      message: 'the process ended unseen: its monitor was killed',
      code: 'task.monitor_lost',
      exitCode: exit.code,
    }
  const how = exit.signal === undefined ? `with exit code ${exit.code}` : `by signal ${exit.signal}`
  return { state: 'failed', message: `the process ended ${how}`, code: 'task.exited', exitCode: exit.code }
}
