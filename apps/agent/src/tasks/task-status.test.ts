import type { ContainerExit } from '@berth/runtime'
import { expect, test } from 'vitest'
import { aContainer } from '../testing/builders.js'
import { conclusion, taskStatus } from './task-status.js'

const exit = (over: Partial<ContainerExit>): ContainerExit => ({ code: 1, oomKilled: false, ...over })

test.each([
  [exit({ code: 0 }), 'complete', '', 'the process ended with exit code 0'],
  [exit({ code: 3 }), 'failed', 'task.exited', 'the process ended with exit code 3'],
  [exit({ code: 139, signal: 11 }), 'failed', 'task.exited', 'the process ended by signal 11'],
  [
    exit({ code: 137, signal: 9, oomKilled: true }),
    'failed',
    'task.out_of_memory',
    'killed by the kernel: it used more memory than its limit allows',
  ],
  [
    exit({ code: 0, oomKilled: true, reason: 'monitor_lost' }),
    'failed',
    'task.out_of_memory',
    'killed by the kernel: it used more memory than its limit allows',
  ],
  [
    exit({ code: 127, reason: 'start_failed', message: 'no such file: /app' }),
    'failed',
    'task.start_failed',
    'no such file: /app',
  ],
  [
    exit({ code: 127, reason: 'start_failed' }),
    'failed',
    'task.start_failed',
    'the process could not be started',
  ],
  [
    exit({ code: 255, reason: 'monitor_lost' }),
    'failed',
    'task.monitor_lost',
    'the process ended unseen: its monitor was killed',
  ],
  [
    exit({ code: 0, reason: 'monitor_lost' }),
    'failed',
    'task.monitor_lost',
    'the process ended unseen: its monitor was killed',
  ],
] as const)('%j concludes as %s %s', (end, state, code, message) => {
  expect(conclusion(end)).toEqual({ state, code, message, exitCode: end.code })
})

test('exit code 0 of a process that the kernel shot elsewhere in its cgroup is still complete', () => {
  expect(conclusion(exit({ code: 0, oomKilled: true })).state).toBe('complete')
})

test('a status without a container has empty details and no exit code', () => {
  expect(taskStatus({ taskId: 't', state: 'accepted', nowMs: 5 })).toEqual({
    taskId: 't',
    state: 'accepted',
    message: '',
    code: '',
    exitCode: undefined,
    containerId: '',
    pid: 0,
    ipAddress: '',
    restartCount: 0,
    observedAtMs: 5n,
  })
})

test('a status tells the container as it is, and exit code 0 is told', () => {
  const container = aContainer({ pid: 9, ipAddress: '10.1.1.1', restartCount: 2 })
  expect(taskStatus({ taskId: 't', state: 'complete', exitCode: 0, container, nowMs: 5 })).toMatchObject({
    containerId: container.id,
    pid: 9,
    ipAddress: '10.1.1.1',
    restartCount: 2,
    exitCode: 0,
  })
})
