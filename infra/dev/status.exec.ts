import type { Node, Service } from '@berth/domain'
import { ApiClient } from './api.client.js'
import { baseUrl } from './control-plane.exec.js'
import type { LabLayout } from './layout.js'
import { readText } from './state.store.js'
import { askSupervisor } from './supervisor.client.js'

/** Prints what runs. True when everything that should run does. */
export async function status(lab: LabLayout): Promise<boolean> {
  const parts = await askSupervisor(lab, { op: 'status' }).catch(() => undefined)
  if (!parts) {
    process.stdout.write('the lab is down: npm run up starts it\n')
    return false
  }
  for (const part of parts) {
    const state = part.pid ? `running  pid ${part.pid}` : part.held ? 'stopped on purpose' : 'restarting'
    process.stdout.write(`${part.name.padEnd(16)} ${state}  restarts ${part.restarts}\n`)
  }
  const api = new ApiClient(baseUrl(lab), readText(lab.tokenFile) ?? '')
  const [nodes, services] = await Promise.all([
    api.get<{ items: Node[] }>('/nodes').catch(() => undefined),
    api.get<{ items: Service[] }>('/services').catch(() => undefined),
  ])
  for (const node of nodes?.items ?? [])
    process.stdout.write(
      `node ${node.name.padEnd(11)} ${node.state}  ${node.address}  ${node.taskCount} tasks\n`,
    )
  for (const service of services?.items ?? []) {
    process.stdout.write(
      `service ${service.name.padEnd(8)} ${service.status.running}/${service.status.desired} running  release ${service.releaseNumber}\n`,
    )
  }
  process.stdout.write(`dashboard        ${baseUrl(lab)}\n`)
  return parts.every((part) => part.pid !== undefined) && nodes !== undefined
}
