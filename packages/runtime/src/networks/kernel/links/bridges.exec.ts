import { fault } from '@berth/core'
import { isErrno, withNetlink } from '../../../host/netlink.js'
import type { HostNetwork } from '../../host-view.js'
import { setBridgeSettings } from '../settings.exec.js'
import { addAddress } from './address-messages.js'
import { find, openHere } from './find-link.exec.js'
import { type Link, makeBridge, setMac, setUp } from './link-messages.js'

/** The bridge, up, with its addresses and settings. Idempotent, also after half of it. @throws network.link_taken */
export const ensureBridge = (network: HostNetwork): Promise<Link> =>
  withNetlink(openHere, async (socket) => {
    const { link: name, mtu } = network
    if (!(await find(socket, name)))
      await socket.request(`making the bridge ${name}`, [makeBridge(name, mtu)]).catch((error: unknown) => {
        if (!isErrno(error, 'EEXIST')) throw error
      })
    const bridge = await find(socket, name)
    if (bridge?.kind !== 'bridge') throw linkTaken(name)
    setBridgeSettings(network)
    // Else it changes with the ports, and what containers send to the gateway they remember is lost for seconds.
    await socket.request(`bringing up the bridge ${name}`, [
      ...network.addresses.map(({ ip, prefix }) => addAddress(bridge.index, ip, prefix)),
      setMac(bridge.index, bridge.macAddress),
      setUp(bridge.index),
    ])
    return bridge
  })

const linkTaken = (name: string) =>
  fault.failedPrecondition(
    'network.link_taken',
    `the interface ${name} of this host is not a bridge: rename it, or give the network another com.docker.network.bridge.name`,
    { params: { link: name } },
  )
