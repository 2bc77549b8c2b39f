import { isErrno, withNetlink } from '../../../host/netlink.js'
import type { Plug } from '../../host-view.js'
import { familyOf } from '../address.js'
import { setInsideSettings } from '../settings.exec.js'
import { addAddress, deleteDefaultRoute, setDefaultRoute } from './address-messages.js'
import { find, openIn } from './find-link.exec.js'
import { setUp } from './link-messages.js'

const LOOPBACK_INDEX = 1

/** Addresses and default routes of the interface inside, up. Idempotent. */
export async function configureInside(
  plug: Pick<Plug, 'pid' | 'interfaceName' | 'addresses' | 'gateways'>,
): Promise<void> {
  setInsideSettings(plug.pid, plug.interfaceName, plug.addresses)
  await withNetlink(openIn(plug.pid), async (socket) => {
    const index = (await find(socket, plug.interfaceName))?.index ?? 0
    await socket.request(`configuring ${plug.interfaceName}`, [
      setUp(LOOPBACK_INDEX),
      ...plug.addresses.map(({ ip, prefix }) => addAddress(index, ip, prefix)),
      setUp(index),
      ...plug.gateways.map((gateway) => setDefaultRoute(gateway, index)),
    ])
  })
}

/** Brings up the loopback of a process's network namespace. */
export const bringUpLoopback = (pid: number): Promise<unknown> =>
  withNetlink(openIn(pid), (socket) => socket.request('bringing up the loopback', [setUp(LOOPBACK_INDEX)]))

export interface InsideGateway {
  readonly interfaceName: string
  readonly gateway: string
}

/** The default routes are exactly these, one per address family. Idempotent. */
export const setGateways = (pid: number, gateways: readonly InsideGateway[]): Promise<void> =>
  withNetlink(openIn(pid), async (socket) => {
    for (const family of [4, 6] as const) {
      const wanted = gateways.find(({ gateway }) => familyOf(gateway) === family)
      const index = wanted && (await find(socket, wanted.interfaceName))?.index
      const change =
        index === undefined ? deleteDefaultRoute(family) : setDefaultRoute(wanted?.gateway ?? '', index)
      await socket.request('changing the default route', [change]).catch((error: unknown) => {
        if (!isErrno(error, 'ESRCH')) throw error
      })
    }
  })
