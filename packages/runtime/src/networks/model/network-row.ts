import type { NetworkInfo } from '../../api.js'
import type { HostNetwork } from '../host-view.js'
import { parseCidr } from '../ipam/cidr.js'

/** A network as it is stored. `userPools`: which subnets somebody asked for, where fixed addresses are allowed. */
export interface NetworkRow extends NetworkInfo {
  readonly hasOwnSubnets: boolean
}

const BRIDGE = 'com.docker.network.bridge'
export const BRIDGE_NAME = `${BRIDGE}.name`
export const HOST_BINDING = `${BRIDGE}.host_binding_ipv4`
export const MTU = 'com.docker.network.driver.mtu'

const isOn = (text: string | undefined): boolean => !/^(0|f|false)$/i.test(text ?? 'true')

/** The link of its bridge, or the parent of a macvlan network. */
export const linkOf = ({ id, driver, options }: Pick<NetworkInfo, 'id' | 'driver' | 'options'>): string =>
  driver === 'macvlan' ? (options.parent ?? '') : options[BRIDGE_NAME] || `br-${id.slice(0, 12)}`

/** The row in the kernel's words. */
export function hostNetworkOf(row: NetworkRow): HostNetwork {
  const { id, options, pools } = row
  const mtu = Number(options[MTU])
  return {
    ...{ id, options, link: linkOf(row) },
    driver: row.driver === 'macvlan' || row.driver === 'cni' ? row.driver : 'bridge',
    addresses: pools.flatMap(({ gateway, subnet }) =>
      gateway === undefined ? [] : [{ ip: gateway, prefix: parseCidr(subnet)?.prefix ?? 0 }],
    ),
    subnets: pools.map(({ subnet }) => subnet),
    mtu: Number.isSafeInteger(mtu) && mtu > 0 ? mtu : undefined,
    isInternal: row.internal,
    isIccAllowed: isOn(options[`${BRIDGE}.enable_icc`]),
    isMasqueraded: isOn(options[`${BRIDGE}.enable_ip_masquerade`]),
  }
}
