import { Fault } from '@berth/core'
import type { LogLine, Task } from '@berth/domain'
import type { Deps } from '../deps.js'
import { logLine } from './log-line.js'

/** The newest lines of many tasks, merged by time; nodes that cannot be reached are named, not an error. */
export async function collectLogs(
  deps: Pick<Deps, 'host'>,
  tasks: readonly Task[],
  tail: number,
): Promise<{ items: readonly LogLine[]; unreachable: readonly { node: string }[] }> {
  const unreachable = new Set<string>()
  const signal = AbortSignal.timeout(10_000)
  const perTask = await Promise.all(
    tasks.map(async (task): Promise<LogLine[]> => {
      if (task.nodeId === null || task.containerId === null) return []
      const lines: LogLine[] = []
      try {
        for await (const batch of deps.host.logs(task.nodeId, task.id, { tail, follow: false, signal }))
          lines.push(...batch.map((line) => logLine(task, line)))
      } catch (error) {
        if (!Fault.is(error, 'node.unreachable')) return lines
        unreachable.add(task.nodeName ?? task.nodeId)
      }
      return lines
    }),
  )
  const merged = perTask
    .flat()
    .sort((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0))
  return {
    items: tail > 0 ? merged.slice(-tail) : [],
    unreachable: [...unreachable].map((node) => ({ node })),
  }
}
