import type { LogLine, Task } from '@berth/domain'

/** A host's log line as the API gives it. */
export const logLine = (task: Task, line: { stream: string; timestamp: string; text: string }): LogLine => ({
  taskId: task.id,
  slot: task.slot,
  nodeName: task.nodeName ?? '',
  stream: line.stream === 'stderr' ? 'stderr' : 'stdout',
  timestamp: line.timestamp,
  text: line.text,
})
