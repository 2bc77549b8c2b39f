import type { Clock } from '@berth/core'
import type { TaskStatus } from '@berth/proto'
import type { AgentStore } from '../state/agent.store.js'
import { mayReplace } from './status.js'

const COALESCE_MS = 20
const BATCH = 500

type Send = (statuses: TaskStatus[]) => Promise<void>

/** The latest status of every task: kept on disk, sent in batches while a session is open, all of them again when a new one opens. */
export class Reporter {
  private readonly latest = new Map<string, TaskStatus>()
  private readonly dirty = new Set<string>()
  private send: Send | undefined
  private fail: ((error: unknown) => void) | undefined
  private sending = false

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

  attach(send: Send, fail: (error: unknown) => void): void {
    this.send = send
    this.fail = fail
    for (const taskId of this.latest.keys()) this.dirty.add(taskId)
    void this.flush()
  }

  detach(): void {
    this.send = undefined
  }

  private async flush(): Promise<void> {
    if (this.sending) return
    this.sending = true
    await this.clock.sleep(COALESCE_MS)
    while (this.send && this.dirty.size > 0) {
      const ids = [...this.dirty].slice(0, BATCH)
      for (const id of ids) this.dirty.delete(id)
      const statuses = ids.flatMap((id) => this.latest.get(id) ?? [])
      try {
        await this.send(statuses)
      } catch (error) {
        for (const id of ids) this.dirty.add(id)
        this.send = undefined
        this.fail?.(error)
      }
    }
    this.sending = false
  }
}
