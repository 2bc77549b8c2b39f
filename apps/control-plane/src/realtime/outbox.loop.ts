import { type Clock, Fault, type Logger } from '@berth/core'
import type { ServerMessage, Topic } from '@berth/domain'
import type { Database } from '../store/database.store.js'
import { OUTBOX_CHANNEL, type OutboxRow, READ_OUTBOX } from '../store/outbox.store.js'
import type { ReadStore } from '../store/read.store.js'
import { isUntouched, nothingTouched, type Touched, touch } from './touched.js'

const COALESCE_MS = 250
const POLL_MS = 1_000
const PAGE_ROWS = 1_000

/** Follows the outbox and publishes full resources, at most four times a second. Every control plane runs one; it needs no leadership. */
export class OutboxLoop {
  private waiting: Touched = nothingTouched()
  private cursor: string | undefined
  private ring: (() => void) | undefined

  constructor(
    private readonly database: Database,
    private readonly read: ReadStore,
    private readonly clock: Clock,
    private readonly logger: Logger,
    private readonly publish: (message: ServerMessage & { type: 'changed' }) => void,
  ) {}

  get revision(): string {
    return this.cursor ?? '0'
  }

  async run(signal: AbortSignal): Promise<void> {
    void this.database.listen(OUTBOX_CHANNEL, () => this.ring?.(), signal)
    while (!signal.aborted) {
      const woken = this.nextWake(signal)
      try {
        await this.collect()
        if (isUntouched(this.waiting)) await woken
        else await this.flush()
      } catch (error) {
        this.logger.warn(
          { error: Fault.from(error).message },
          'changes cannot be read at the moment and will be read later',
        )
        await this.clock.sleep(POLL_MS, signal).catch(() => {})
      }
      await this.clock.sleep(COALESCE_MS, signal).catch(() => {})
    }
  }

  private nextWake(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.ring = resolve
      this.clock.sleep(POLL_MS, signal).then(resolve, () => resolve())
    })
  }

  private async collect(): Promise<void> {
    if (this.cursor === undefined) {
      const [row] = await this.database.query<{ seq: string }>(
        'SELECT coalesce(max(seq), 0)::text AS seq FROM outbox',
      )
      this.cursor = row?.seq ?? '0'
    }
    for (;;) {
      const rows: readonly OutboxRow[] = await this.database.query<OutboxRow & Record<string, unknown>>(
        READ_OUTBOX,
        [this.cursor],
      )
      touch(this.waiting, rows)
      this.cursor = rows.at(-1)?.seq ?? this.cursor
      if (rows.length < PAGE_ROWS) return
    }
  }

  /** What could not be read stays waiting for the next round. */
  private async flush(): Promise<void> {
    const now = this.waiting
    const tasks = await this.read.tasks({ ids: [...now.tasks.changed] })
    for (const task of tasks) if (task.nodeId !== null) now.nodes.changed.add(task.nodeId)
    const [services, nodes, deployments] = await Promise.all([
      this.read.services({ ids: [...now.services.changed] }),
      this.read.nodes({ ids: [...now.nodes.changed] }),
      this.read.deployments({ ids: [...now.deployments.changed] }),
    ])
    this.waiting = nothingTouched()
    this.send('tasks', tasks, now)
    this.send('services', services, now)
    this.send('nodes', nodes, now)
    this.send('deployments', deployments, now)
  }

  private send(topic: Topic, items: readonly { readonly id: string }[], touched: Touched): void {
    const { changed, removed } = touched[topic]
    const found = new Set(items.map((item) => item.id))
    const gone = [...removed, ...[...changed].filter((id) => !found.has(id))]
    if (items.length + gone.length === 0) return
    this.publish({ type: 'changed', topic, rev: this.revision, items: [...items], removed: gone })
  }
}
