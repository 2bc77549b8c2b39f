import { failpoint, fault } from '@berth/core'
import type { EndpointSpec } from '../../api.js'
import type { ContainerRow } from '../../containers/containers.store.js'
import type { ContainerEngine } from '../../containers/engine.exec.js'
import { changeHosts } from '../../containers/etc.exec.js'
import { isUp } from '../../containers/lifecycle.js'
import { shortId } from '../../containers/paths.js'
import { isOnDefault } from '../modes.js'
import { chooseGateways, type EndpointRow, freeInterface } from './endpoint-row.js'
import { assertFixedAllowed } from './lease-endpoint.js'
import type { NetworkRow } from './network-row.js'

/** Within a turn. Its row says it first: a crash before the kernel has it is made good by recovery. */
export async function connectContainer(
  engine: ContainerEngine,
  nameOrId: string,
  { id }: ContainerRow,
  spec: EndpointSpec,
): Promise<void> {
  const { networks, store, network: bridge } = engine.deps
  engine.settle(id)
  const network = networks.store.get(nameOrId)
  assertConnectable(network, store.get(id))
  assertFixedAllowed(spec, network)
  // The default network leases its addresses for a container's life.
  if (network.name === 'bridge' && store.get(id).ipAddress === undefined)
    store.updateWithAddress(id, {}, bridge.subnet, () => {})
  const row = store.get(id)
  const before = networks.endpointsOf(row)
  const known = before.find(({ networkId }) => networkId === network.id)
  if (known && isUp(row))
    throw fault.permissionDenied(
      'network.already_connected',
      `endpoint with name ${row.spec.name} already exists in network ${network.name}`,
    )
  const others = before.filter((endpoint) => endpoint !== known)
  const planned = networks.newEndpoint(network.id, spec, freeInterface(others))
  const isHeld = isUp(row) || row.spec.portsHeld !== 'while-up'
  const endpoint = isHeld ? networks.leaseOne(row, planned) : planned
  const connected = store.updateLazily(id, { endpoints: [...others, endpoint] })
  await failpoint('network.connect.after_row')
  const plugged = isUp(connected) ? plugOrUndo(engine, connected, endpoint, before) : undefined
  await Promise.all([plugged, store.durable()])
  if (isUp(connected)) networks.tell('connect', network, id)
}

async function plugOrUndo(
  engine: ContainerEngine,
  row: ContainerRow,
  endpoint: EndpointRow,
  before: readonly EndpointRow[],
): Promise<void> {
  const { networks, store } = engine.deps
  const pid = row.process?.pid ?? 0
  try {
    await networks.kernel.plugIn(networks.plug(row, endpoint, pid))
    await networks.kernel.setGateways(pid, chooseGateways(row.endpoints ?? []))
    await failpoint('network.connect.after_plug')
    changeHosts(engine.paths(row.id).hosts, endpoint, hostNames(row))
    await engine.syncRules(row)
  } catch (error) {
    await networks.kernel.unplug(networks.plug(row, endpoint, pid))
    store.update(row.id, { endpoints: before })
    throw error
  }
}

const hostNames = ({ id, spec }: ContainerRow): string => {
  const hostname = spec.hostname || shortId(id)
  return spec.domainname ? `${hostname}.${spec.domainname} ${hostname}` : hostname
}

/** Within a turn. The kernel first: a crash before the row has it leaves the container connected, which recovery makes true again. */
export async function disconnectContainer(
  engine: ContainerEngine,
  nameOrId: string,
  { id }: ContainerRow,
): Promise<void> {
  const { networks, store } = engine.deps
  engine.settle(id)
  const row = store.get(id)
  const network = networks.store.find(nameOrId)
  const before = networks.endpointsOf(row)
  const endpoint = before.find(
    ({ networkId, networkName }) => networkId === network?.id || (!network && networkName === nameOrId),
  )
  if (!network && !endpoint) networks.store.get(nameOrId)
  assertNotShared(row, network)
  if (!endpoint)
    throw fault.permissionDenied(
      'network.not_connected',
      `container ${id} is not connected to network ${network?.name ?? nameOrId}`,
    )
  const endpoints = before.filter((other) => other !== endpoint)
  const pid = row.process?.pid
  if (isUp(row) && pid !== undefined && network) {
    await networks.kernel.unplug(networks.plug(row, endpoint, pid))
    await networks.kernel.setGateways(pid, chooseGateways(endpoints))
    changeHosts(engine.paths(id).hosts, endpoint, undefined)
    await failpoint('network.disconnect.after_unplug')
  }
  const left = store.updateLazily(id, { endpoints })
  await Promise.all([isUp(left) ? engine.syncRules(left) : undefined, store.durable()])
  if (network && isUp(left)) networks.tell('disconnect', network, id)
}

/** @throws network.not_connectable in docker's words */
function assertConnectable(network: NetworkRow, row: ContainerRow): void {
  assertNotShared(row, network)
  if (network.name === 'none' || (row.spec.network === 'none' && !isOnDefault(row.spec)))
    throw refused(
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    )
}

function assertNotShared({ spec }: ContainerRow, network: NetworkRow | undefined): void {
  if (typeof spec.network === 'object')
    throw refused(
      'container sharing network namespace with another container or host cannot be connected to any other network',
    )
  if (network?.name === 'host' || spec.network === 'host')
    throw refused('container cannot be disconnected from host network or connected to host network')
}

const refused = (why: string) => fault.permissionDenied('network.not_connectable', why)
