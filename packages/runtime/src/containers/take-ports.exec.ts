import type { ContainerSpec, PortMapping } from '../api.js'
import { chooseHostPorts } from '../networks/host-ports.exec.js'
import { publishedPorts } from '../networks/modes.js'
import type { ContainerRow, ContainerStore } from './containers.store.js'
import { assertPortsFree } from './ports.js'

/**
 * The host ports that a spec gets, where nobody has them who holds them now. Nothing may be awaited between this and writing them down.
 * @throws port.in_use, port.host_ip_missing, port.none_free
 */
export function takePorts(
  store: ContainerStore,
  spec: ContainerSpec,
  isHolding: (row: ContainerRow) => boolean,
  /** For those that name no address of the host. */
  hostIp: string | undefined,
): readonly PortMapping[] {
  const holders = (ports: readonly PortMapping[]) => store.publishersOf(ports).filter(isHolding)
  const wanted = publishedPorts(spec).map((port) => (port.hostIp || !hostIp ? port : { ...port, hostIp }))
  const ports = chooseHostPorts(wanted, spec.name, (port) => holders([port]).length > 0)
  assertPortsFree(
    spec.name,
    ports,
    holders(ports).map((row) => ({ name: row.spec.name, ports: row.ports })),
  )
  return ports
}
