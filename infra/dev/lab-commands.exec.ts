import { fault } from '@berth/core'
import { dismantleHost } from './down.exec.js'
import type { HostLayout, LabLayout } from './layout.js'
import { type CutDirection, cut, heal, slow } from './link-faults.exec.js'
import { ensureHost, isHostMade } from './network.exec.js'
import type { LabRequest } from './options.js'
import { say } from './progress.exec.js'
import { remove } from './state.store.js'
import { askSupervisor } from './supervisor.client.js'
import { currentParts } from './up.exec.js'

/** `npm run lab -- VERB HOST`: breaks and mends one host. */
export async function labCommand(lab: LabLayout, request: LabRequest): Promise<void> {
  if (request.verb === 'hosts') {
    for (const host of lab.hosts) process.stdout.write(`${host.name}\t${host.address}\t${host.namespace}\n`)
    return
  }
  const host = findHost(lab, request.host)
  await VERBS[request.verb](lab, host, request)
}

type Verb = Exclude<LabRequest['verb'], 'hosts'>
const VERBS: Record<Verb, (lab: LabLayout, host: HostLayout, request: LabRequest) => Promise<void>> = {
  cut: async (_lab, host, request) => {
    await cut(host, request.direction as CutDirection)
    say(`${host.name} is cut off (${request.direction}); npm run lab -- heal ${host.name} undoes it`)
  },
  heal: async (_lab, host) => {
    await heal(host)
    say(`${host.name} is connected again`)
  },
  slow: async (_lab, host, request) => {
    await slow(host, request.slowness)
    say(`${host.name} is slow now; npm run lab -- heal ${host.name} undoes it`)
  },
  kill: async (lab, host, request) => {
    await askSupervisor(lab, { op: 'stop', name: host.name, signal: 'SIGKILL' })
    if (!request.hold) await askSupervisor(lab, { op: 'start', name: host.name })
    say(
      `the agent of ${host.name} was killed${request.hold ? ' and stays down until npm run lab -- start' : ' and started again'}`,
    )
  },
  start: async (lab, host) => {
    await askSupervisor(lab, { op: 'start', name: host.name })
    say(`the agent of ${host.name} is started`)
  },
  reboot: async (lab, host) => {
    await askSupervisor(lab, { op: 'stop', name: host.name, signal: 'SIGKILL' })
    await dismantleHost(lab, host)
    remove(host.bootIdFile)
    await ensureHost(lab, host)
    await askSupervisor(lab, { op: 'ensure', parts: currentParts(lab) })
    say(`${host.name} was rebooted`)
  },
}

function findHost(lab: LabLayout, name: string | undefined): HostLayout {
  const host = lab.hosts.find((candidate) => candidate.name === name)
  if (!host)
    throw fault.notFound(
      'lab.no_host',
      `there is no host ${JSON.stringify(name ?? '')}: the lab has ${lab.hosts.map((h) => h.name).join(', ')}`,
    )
  if (!isHostMade(host)) throw fault.failedPrecondition('lab.down', 'the lab is down: npm run up starts it')
  return host
}
