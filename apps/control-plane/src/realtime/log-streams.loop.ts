import { type Clock, Fault } from '@berth/core'
import type { LogLine, ServerMessage, Task } from '@berth/domain'
import { logLine } from '../api/tasks/log-line.js'
import type { HostClient } from '../host/host.client.js'
import type { ReadStore } from '../store/read.store.js'
import { advance, isNewSince, LOG_START, type LogPosition } from './resume.js'

const LOOK_MS = 1_000
const FLUSH_MS = 100
const BATCH_LINES = 500

export interface LogTarget {
  readonly service?: string | undefined
  readonly task?: string | undefined
  readonly tail: number
}

export interface LogStreamDeps {
  readonly read: Pick<ReadStore, 'service' | 'task' | 'tasks'>
  readonly host: Pick<HostClient, 'logs'>
  readonly clock: Clock
}

/**
 * Follows the logs of a service (and of replicas that come while it is followed) or of one task, in batches. A slow reader loses lines and is
 * told how many; it never slows the host or other readers.
 */
export class LogStream {
  private readonly lines: LogLine[] = []
  private readonly followed = new Set<string>()
  private readonly positions = new Map<string, LogPosition>()
  private skipped = 0

  constructor(
    private readonly deps: LogStreamDeps,
    private readonly stream: string,
    private readonly target: LogTarget,
    /** False when the reader is behind and the batch was not taken. */
    private readonly send: (message: ServerMessage) => boolean,
  ) {}

  /** Until the signal aborts. A database or host that is away for a while is waited for; what does not exist ends the stream with its code. */
  async run(signal: AbortSignal): Promise<void> {
    const flushing = this.flushLoop(signal)
    while (!signal.aborted) {
      try {
        for (const task of await this.tasks()) this.follow(task, signal)
      } catch (error) {
        const { code, publicMessage, retryable } = Fault.from(error)
        if (!retryable) {
          this.send({ type: 'logs.end', stream: this.stream, code, message: publicMessage })
          break
        }
      }
      await this.deps.clock.sleep(LOOK_MS, signal).catch(() => {})
    }
    await flushing
  }

  private async tasks(): Promise<readonly Task[]> {
    const { service, task } = this.target
    if (task !== undefined) return [await this.deps.read.task(task)]
    const { id } = await this.deps.read.service(service ?? '')
    return this.deps.read.tasks({ serviceIds: [id], current: true })
  }

  private follow(task: Task, signal: AbortSignal): void {
    const { nodeId, containerId } = task
    const key = `${task.id}/${containerId}`
    if (nodeId === null || containerId === null || this.followed.has(key)) return

    this.followed.add(key)
    void this.read(task, nodeId, key, signal).catch((error: unknown) => {
      if (Fault.from(error).code !== 'task.no_container') this.followed.delete(key)
    })
  }

  /** A host that was away is asked for the same tail again: what has been seen of it is left out. */
  private async read(task: Task, nodeId: string, key: string, signal: AbortSignal): Promise<void> {
    const options = { tail: this.target.tail, follow: true, signal }
    const isNew = isNewSince(this.positions.get(key) ?? LOG_START)
    for await (const batch of this.deps.host.logs(nodeId, task.id, options)) {
      const fresh = batch.filter(isNew)
      this.positions.set(key, fresh.reduce(advance, this.positions.get(key) ?? LOG_START))
      const room = Math.max(0, BATCH_LINES * 4 - this.lines.length)
      this.lines.push(...fresh.slice(0, room).map((line) => logLine(task, line)))
      this.skipped += Math.max(0, fresh.length - room)
    }
  }

  private async flushLoop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.deps.clock.sleep(FLUSH_MS, signal).catch(() => {})
      if (this.lines.length + this.skipped === 0) continue
      const lines = this.lines
        .slice(0, BATCH_LINES)
        .sort((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0))
      if (!this.send({ type: 'logs.lines', stream: this.stream, lines, skipped: this.skipped })) continue
      this.lines.splice(0, lines.length)
      this.skipped = 0
    }
  }
}
