import type { ContainerInfo } from '@berth/runtime'
import { humanDuration } from './human-time.js'

/** The STATUS column of `docker ps`: `Up 5 minutes (healthy)`, `Exited (0) 2 hours ago`. */
export function statusText(container: ContainerInfo, nowMs: number): string {
  const since = (iso: string | undefined) =>
    humanDuration(iso === undefined ? 0 : Math.max(0, nowMs - Date.parse(iso)))
  switch (container.state) {
    case 'running':
      return `Up ${since(container.startedAt)}${healthText(container)}`
    case 'paused':
      return `Up ${since(container.startedAt)} (Paused)`
    case 'restarting':
      return `Restarting (${container.exit?.code ?? 0}) ${since(container.finishedAt)} ago`
    case 'removing':
      return 'Removal In Progress'
    case 'creating':
    case 'created':
      return 'Created'
    case 'exited':
      return `Exited (${container.exit?.code ?? 0}) ${since(container.finishedAt)} ago`
  }
}

function healthText({ health }: ContainerInfo): string {
  if (!health) return ''
  return health.status === 'starting' ? ' (health: starting)' : ` (${health.status})`
}

/** docker's word for the state. */
export const stateName = ({ state }: ContainerInfo): string => (state === 'creating' ? 'created' : state)
