import { createHash } from 'node:crypto'
import type { Subnet } from '../ipam.js'
import { BRIDGE_NAME, MTU, type NetworkRow } from './network-row.js'

/** Ids are made from the engine's own, so that they stay the same for ever. */
const idOf = (engineId: string, name: string): string =>
  createHash('sha256').update(`${engineId}/network/${name}`).digest('hex')

const BRIDGE = 'com.docker.network.bridge'

/** The three networks that every host has, in docker's words. */
export function predefinedNetworks(
  engineId: string,
  createdAt: string,
  { bridge, subnet }: { readonly bridge: string; readonly subnet: Subnet },
): readonly NetworkRow[] {
  const make = (name: 'bridge' | 'host' | 'none'): NetworkRow => ({
    ...{ id: idOf(engineId, name), name, driver: name, createdAt, isPredefined: true },
    ...{ internal: false, attachable: false, ipv6: false, labels: {}, hasOwnSubnets: false },
    options: {},
    pools: [],
  })
  const pool = { subnet: subnet.text, range: undefined, gateway: subnet.gateway, reserved: {} }
  const options = {
    [`${BRIDGE}.default_bridge`]: 'true',
    [`${BRIDGE}.enable_icc`]: 'true',
    [`${BRIDGE}.enable_ip_masquerade`]: 'true',
    [`${BRIDGE}.host_binding_ipv4`]: '0.0.0.0',
    [BRIDGE_NAME]: bridge,
    [MTU]: '1500',
  }
  return [{ ...make('bridge'), options, pools: [pool] }, make('host'), make('none')]
}
