import { fault } from '@berth/core'
import { type Call, Filters, type Route } from '@berth/engine-api'
import type { NetworkInfo, Runtime } from '@berth/runtime'
import { findContainer } from '../containers/endpoint.js'
import { endpointSpec } from '../containers/spec-endpoint.js'
import { connectBody, disconnectBody, networkBody, networkSpec } from './network-body.js'
import { checkNetworkFilters, matchesNetwork, NETWORK_FILTERS } from './network-filters.js'
import { networkJson } from './network-json.js'
import { prune } from './prune.controller.js'
import { usedNetworks } from './used-networks.js'

/** `docker network …`. */
export function networkRoutes(runtime: Runtime): readonly Route[] {
  const { networks } = runtime
  return [
    { method: 'GET', path: '/networks', handle: (call) => list(runtime, call) },
    { method: 'GET', path: '/networks/{id}', handle: (call) => inspect(runtime, call) },
    {
      method: 'DELETE',
      path: '/networks/{id}',
      handle: async (call) => {
        await networks.remove(networks.get(call.params.id ?? '').id)
        call.empty(204)
      },
    },
    {
      method: 'POST',
      path: '/networks/create',
      handle: async (call) => {
        const { id } = await networks.create(networkSpec(await call.readJson(networkBody)))
        call.json(201, { Id: id, Warning: '' })
      },
    },
    { method: 'POST', path: '/networks/{id}/connect', handle: (call) => connect(runtime, call) },
    { method: 'POST', path: '/networks/{id}/disconnect', handle: (call) => disconnect(runtime, call) },
    { method: 'POST', path: '/networks/prune', handle: (call) => prune(runtime, call) },
  ]
}

async function list({ networks, containers }: Runtime, call: Call): Promise<void> {
  const filters = Filters.parse(call.query.string('filters'), NETWORK_FILTERS)
  checkNetworkFilters(filters)
  const used = filters.has('dangling') ? usedNetworks(await containers.list()) : new Set<string>()
  const isUsed = ({ id }: NetworkInfo) => used.has(id)
  const found = networks.list().filter((network) => matchesNetwork(network, () => isUsed(network), filters))
  call.json(
    200,
    found.map((network) => networkJson(network, [])),
  )
}

/** A network of a swarm is never here. @throws network.not_found */
async function inspect({ networks }: Runtime, call: Call): Promise<void> {
  const network = networks.get(call.params.id ?? '')
  const scope = call.query.string('scope')
  if (scope && scope !== 'local')
    throw fault.notFound('network.not_found', `network ${network.name} not found`)
  call.json(200, networkJson(network, networks.endpoints(network.id)))
}

async function connect(runtime: Runtime, call: Call): Promise<void> {
  const { Container: asked = '', EndpointConfig: config } = await call.readJson(connectBody)
  const network = runtime.networks.get(call.params.id ?? '')
  const { id } = await findContainer(runtime, asked)
  await runtime.networks.connect(network.id, id, endpointSpec(config))
  call.empty(200)
}

/** Of a network that is gone the name is enough. */
async function disconnect(runtime: Runtime, call: Call): Promise<void> {
  const { Container: asked = '', Force: force = false } = await call.readJson(disconnectBody)
  const given = call.params.id ?? ''
  if (!force) runtime.networks.get(given)
  const { id } = await findContainer(runtime, asked)
  await runtime.networks.disconnect(runtime.networks.find(given)?.id ?? given, id, { force })
  call.empty(200)
}
