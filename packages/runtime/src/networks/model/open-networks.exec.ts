import type { NetworkInfo, Networks } from '../../api.js'
import type { ContainerEngine } from '../../containers/engine.exec.js'
import { connectContainer, disconnectContainer } from './change-endpoints.exec.js'
import { endpointInfo } from './endpoint-info.js'
import type { NetworksModule } from './networks-module.exec.js'

/** The public face over the module and the engine: one operation at a time per container. */
export function openNetworks(networks: NetworksModule, engine: ContainerEngine): Networks {
  const { store } = networks
  const containers = engine.deps.store
  return {
    create: (spec) => networks.create(spec),
    list: (): readonly NetworkInfo[] => store.list(),
    get: (nameOrId) => store.get(nameOrId),
    find: (nameOrId) => store.find(nameOrId),
    remove: (nameOrId) => networks.remove(nameOrId),
    connect: async (nameOrId, container, endpoint = {}) => {
      const row = containers.resolve(container)
      await engine.turns.take(row.id, () => connectContainer(engine, nameOrId, row, endpoint))
    },
    disconnect: async (nameOrId, container, options) => {
      const row = options?.force ? containers.find(container) : undefined
      const found = row ?? containers.resolve(container)
      await engine.turns.take(found.id, () => disconnectContainer(engine, nameOrId, found))
    },
    endpoints: (nameOrId) => {
      const { id } = store.get(nameOrId)
      return networks.usersOf(id).flatMap((row) =>
        networks
          .endpointsOf(row)
          .filter(({ networkId }) => networkId === id)
          .map((endpoint) => ({
            ...endpointInfo(row, endpoint),
            containerId: row.id,
            containerName: row.spec.name,
          })),
      )
    },
  }
}
