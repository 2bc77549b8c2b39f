import type { Deployment, ServerMessage, Task } from '@berth/domain'
import type { QueryClient, QueryKey } from '@tanstack/react-query'
import { mergeItems } from './merge'

type Changed = ServerMessage & { readonly type: 'changed' }
type Item = { readonly id: string }

/** Puts a change into every cached list of its topic. A list that is being read at this moment is read again, since its answer may be older. */
export function applyChanged(client: QueryClient, message: Changed): void {
  const change = { items: message.items as readonly Item[], removed: message.removed }
  for (const query of client.getQueryCache().findAll({ queryKey: [message.topic] })) {
    if (query.state.fetchStatus === 'fetching')
      void client.invalidateQueries({ queryKey: query.queryKey, exact: true })
    client.setQueryData<{ items: readonly Item[] }>(
      query.queryKey,
      (old) =>
        old && { ...old, items: mergeItems(old.items, change, (item) => belongs(query.queryKey, item)) },
    )
  }
}

/** Whether a new item belongs into the list under this key: tasks and deployments are kept by service or node. */
export function belongs(key: QueryKey, item: Item): boolean {
  const [topic, scope, name] = key
  if (topic === 'tasks')
    return scope === 'node' ? (item as Task).nodeName === name : (item as Task).serviceName === name
  if (topic === 'deployments') return (item as Deployment).serviceName === scope
  return true
}
