import { Fault, fault } from '@berth/core'
import { type Call, Filters } from '@berth/engine-api'
import type { NetworkInfo, Runtime } from '@berth/runtime'
import { pruneUntilMs } from './prune-until.js'
import { usedNetworks } from './used-networks.js'

const PRUNE_FILTERS = ['label', 'label!', 'until'] as const

/** Networks that no container has; one that gets a container meanwhile stays. */
export async function prune({ networks, containers }: Runtime, call: Call): Promise<void> {
  const filters = Filters.parse(call.query.string('filters'), PRUNE_FILTERS)
  const [until, ...more] = filters.get('until')
  if (more.length > 0)
    throw fault.invalidArgument('engine.filter_invalid', 'more than one until filter specified')
  const untilMs = until === undefined ? Number.POSITIVE_INFINITY : pruneUntilMs(until, Date.now())
  const used = usedNetworks(await containers.list())
  const isWanted = (network: NetworkInfo) =>
    !network.isPredefined &&
    !used.has(network.id) &&
    filters.allowsLabels(network.labels) &&
    Date.parse(network.createdAt) <= untilMs
  const removed: string[] = []
  for (const { id, name } of networks.list().filter(isWanted)) {
    try {
      await networks.remove(id)
      removed.push(name)
    } catch (error) {
      if (!Fault.is(error, 'network.in_use') && !Fault.is(error, 'network.not_found')) throw error
    }
  }
  call.json(200, { NetworksDeleted: removed.length > 0 ? removed : null })
}
