import { fault } from '@berth/core'
import { type Call, Filters, type Route } from '@berth/engine-api'
import type { Runtime } from '@berth/runtime'
import { z } from 'zod'
import {
  findNetwork,
  matchesNetwork,
  NETWORK_FILTERS,
  NETWORKS,
  type NetworkName,
  networkJson,
} from './network-json.js'

export interface NetworkEndpointDeps {
  readonly runtime: Runtime
  /** When this engine started: the three networks exist since then. */
  readonly startedAt: string
}

/** The networks every host has. Making more of them is refused by name until the engine has them. */
export function networkRoutes(deps: NetworkEndpointDeps): readonly Route[] {
  return [
    { method: 'GET', path: '/networks', handle: (call) => list(deps, call) },
    {
      method: 'GET',
      path: '/networks/{id}',
      handle: async (call) => call.json(200, await json(deps, networkOfCall(deps, call))),
    },
    {
      method: 'DELETE',
      path: '/networks/{id}',
      handle: async (call) => {
        const name = networkOfCall(deps, call)
        throw fault.permissionDenied(
          'network.predefined',
          `${name} is a pre-defined network and cannot be removed`,
        )
      },
    },
    { method: 'POST', path: '/networks/create', handle: create },
    { method: 'POST', path: '/networks/{id}/connect', handle: refuseMore },
    { method: 'POST', path: '/networks/{id}/disconnect', handle: refuseMore },
    {
      method: 'POST',
      path: '/networks/prune',
      handle: async (call) => call.json(200, { NetworksDeleted: null }),
    },
  ]
}

const createSchema = z.object({ Name: z.string().min(1, 'a network needs a name') })

async function create(call: Call): Promise<void> {
  const { Name: name } = await call.readJson(createSchema)
  if (NETWORKS.some((known) => known === name))
    throw fault.permissionDenied(
      'network.predefined',
      `operation is not permitted on predefined ${name} network`,
    )
  await refuseMore()
}

async function refuseMore(): Promise<void> {
  throw fault.unimplemented(
    'network.one_bridge',
    'this engine has the networks bridge, host and none: use one of them, or share the network of another container with --network container:NAME',
  )
}

const json = async ({ runtime, startedAt }: NetworkEndpointDeps, name: NetworkName): Promise<unknown> => {
  const running = (await runtime.containers.list()).filter(
    ({ state }) => state === 'running' || state === 'paused',
  )
  return networkJson(name, runtime.info(), startedAt, running)
}

/** @throws network.not_found in docker's words */
function networkOfCall({ runtime }: NetworkEndpointDeps, call: Call): NetworkName {
  const wanted = call.params.id ?? ''
  const name = findNetwork(runtime.info().id, wanted)
  if (!name)
    throw fault.notFound('network.not_found', `network ${wanted} not found`, { params: { network: wanted } })
  return name
}

async function list(deps: NetworkEndpointDeps, call: Call): Promise<void> {
  const filters = Filters.parse(call.query.string('filters'), NETWORK_FILTERS)
  const names = NETWORKS.filter((name) => matchesNetwork(deps.runtime.info().id, name, filters))
  call.json(200, await Promise.all(names.map((name) => json(deps, name))))
}
