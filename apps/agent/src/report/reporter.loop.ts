import type { Clock } from '@berth/core'
import type { TaskStatus } from '@berth/proto'
import type { AgentStore } from '../state/agent.store.js'
import { mayReplace } from './status.js'

const COALESCE_MS = 20
const BATCH = 500

type Send = (statuses: TaskStatus[]) => Promise<void>

/** One session's way to the control plane. */
interface Line {
  readonly send: Send
  readonly fail: (error: unknown) => void
  isSending: boolean
}

/** The latest status of every task: kept on disk, sent in batches while a session is open, all of them again when a new one opens. */
export class Reporter {
  private readonly latest = new Map<string, TaskStatus>()
  private readonly dirty = new Set<string>()
  private line: Line | undefined

  constructor(
    private readonly store: AgentStore,
    private readonly clock: Clock,
  ) {
    for (const status of store.statuses()) this.latest.set(status.taskId, status)
  }

  get(taskId: string): TaskStatus | undefined {
    return this.latest.get(taskId)
  }

  /** States only go up; what would go down is dropped. Idempotent. */
  report(status: TaskStatus): void {
    if (!mayReplace(this.latest.get(status.taskId), status)) return
    this.latest.set(status.taskId, status)
    this.store.saveStatus(status)
    this.dirty.add(status.taskId)
    void this.flush()
  }

  /** The control plane no longer knows the task: neither need we. */
  forget(taskId: string): void {
    if (!this.latest.delete(taskId)) return
    this.dirty.delete(taskId)
    this.store.forgetStatus(taskId)
  }

  taskIds(): readonly string[] {
    return [...this.latest.keys()]
  }

  /** Every status is sent over this session, even what another one may have got through. `fail` hears of a send that did not. */
  attach(send: Send, fail: (error: unknown) => void): void {
    this.line = { send, fail, isSending: false }
    for (const taskId of this.latest.keys()) this.dirty.add(taskId)
    void this.flush()
  }

  detach(): void {
    this.line = undefined
  }

  /** A send of an ended session may fail long after the next one began: that is no matter of the next one's. */
  private async flush(): Promise<void> {
    const { line } = this
    if (!line || line.isSending) return
    line.isSending = true
    await this.clock.sleep(COALESCE_MS)
    while (this.line === line && this.dirty.size > 0) {
      const ids = [...this.dirty].slice(0, BATCH)
      for (const id of ids) this.dirty.delete(id)
      try {
        await line.send(ids.flatMap((id) => this.latest.get(id) ?? []))
      } catch (error) {
        if (this.line === line) this.line = undefined
        line.fail(error)
      }
    }
    line.isSending = false
  }
}
