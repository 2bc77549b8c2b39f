import type { Topic } from '@berth/domain'
import type { OutboxRow } from '../store/outbox.store.js'

/** Ids to read again and ids that are gone, by topic. */
export type Touched = Readonly<
  Record<Topic, { readonly changed: Set<string>; readonly removed: Set<string> }>
>

export const nothingTouched = (): Touched => ({
  services: fresh(),
  tasks: fresh(),
  nodes: fresh(),
  deployments: fresh(),
})
const fresh = () => ({ changed: new Set<string>(), removed: new Set<string>() })

const TOPIC: Readonly<Record<OutboxRow['noun'], Topic>> = {
  service: 'services',
  task: 'tasks',
  node: 'nodes',
  deployment: 'deployments',
}

/** Adds rows to what is already waiting; a task or deployment also changes what its service shows. Later rows win. */
export function touch(touched: Touched, rows: readonly OutboxRow[]): void {
  for (const row of rows) {
    const { changed, removed } = touched[TOPIC[row.noun]]
    const [to, from] = row.action === 'removed' ? [removed, changed] : [changed, removed]
    to.add(row.objectId)
    from.delete(row.objectId)
    if (row.noun !== 'service' && row.serviceId !== null && !touched.services.removed.has(row.serviceId))
      touched.services.changed.add(row.serviceId)
  }
}

export const isUntouched = (touched: Touched): boolean =>
  Object.values(touched).every(({ changed, removed }) => changed.size + removed.size === 0)
