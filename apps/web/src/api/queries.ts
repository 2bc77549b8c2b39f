'use client'
import type { ApiToken, Deployment, Node, Overview, Service, Session, Task } from '@berth/domain'
import { useQuery } from '@tanstack/react-query'
import { get } from './http.client'

interface List<Item> {
  readonly items: readonly Item[]
}

const PAGE = 500

/** Every page of a list. */
async function all<Item>(path: string): Promise<List<Item>> {
  const items: Item[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: { items: Item[]; next?: string | null } = await get(
      `${path}${path.includes('?') ? '&' : '?'}limit=${PAGE}${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    )
    items.push(...page.items)
    cursor = page.next ?? null
  }
  return { items }
}

/** Keys of the cache; `live/apply.ts` finds lists by them. */
export const keys = {
  session: ['session'] as const,
  overview: ['overview'] as const,
  services: ['services'] as const,
  nodes: ['nodes'] as const,
  serviceTasks: (service: string) => ['tasks', 'service', service] as const,
  nodeTasks: (node: string) => ['tasks', 'node', node] as const,
  deployments: (service: string) => ['deployments', service] as const,
  tokens: ['tokens'] as const,
}

export const useSession = () =>
  useQuery({
    queryKey: keys.session,
    queryFn: () => get<Session>('/session'),
    staleTime: Number.POSITIVE_INFINITY,
  })
export const useOverview = () =>
  useQuery({ queryKey: keys.overview, queryFn: () => get<Overview>('/overview') })
export const useServices = () =>
  useQuery({ queryKey: keys.services, queryFn: () => all<Service>('/services') })
export const useNodes = () => useQuery({ queryKey: keys.nodes, queryFn: () => get<List<Node>>('/nodes') })
export const useServiceTasks = (name: string) =>
  useQuery({
    queryKey: keys.serviceTasks(name),
    queryFn: () => get<List<Task>>(`/services/${encodeURIComponent(name)}/tasks`),
  })
export const useNodeTasks = (name: string) =>
  useQuery({
    queryKey: keys.nodeTasks(name),
    queryFn: () => all<Task>(`/tasks?node=${encodeURIComponent(name)}&current=true`),
  })
export const useDeployments = (name: string) =>
  useQuery({
    queryKey: keys.deployments(name),
    queryFn: () => get<List<Deployment>>(`/services/${encodeURIComponent(name)}/deployments`),
  })
export const useTokens = () =>
  useQuery({ queryKey: keys.tokens, queryFn: () => get<List<ApiToken>>('/tokens') })
