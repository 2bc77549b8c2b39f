import { closeSync, openSync } from 'node:fs'
import { fault } from '@berth/core'
import { isErrno, withNetlink } from '../../../host/netlink.js'
import type { HostNetwork, Plug } from '../../host-view.js'
import { find, findLink, openHere, openIn, removeLink } from './find-link.exec.js'
import { configureInside } from './inside.exec.js'
import { isMacvlanMode, type Link, makeMacvlan } from './link-messages.js'

/** docker's word for the mode, and its default. */
const modeOf = ({ options }: HostNetwork): string => options.macvlan_mode ?? 'bridge'

/** @throws network.parent_missing, network.macvlan_mode */
export async function checkMacvlan(network: HostNetwork): Promise<Link> {
  const mode = modeOf(network)
  if (!isMacvlanMode(mode))
    throw fault.invalidArgument(
      'network.macvlan_mode',
      `macvlan mode ${JSON.stringify(mode)} is none of bridge, private, vepa and passthru`,
    )
  const parent = await findLink(network.link)
  if (parent) return parent
  throw fault.failedPrecondition(
    'network.parent_missing',
    `the parent ${network.link} of the macvlan network is no interface of this host: see "ip link", and set it up first where it is a VLAN`,
    { params: { link: network.link } },
  )
}

/** An interface on the parent's wire, in the container's namespace. One that is there stays. Idempotent. @throws network.parent_missing */
export async function plugMacvlan(plug: Plug): Promise<void> {
  const parent = await checkMacvlan(plug.network)
  const namespace = openSync(`/proc/${plug.pid}/ns/net`, 'r')
  try {
    await withNetlink(openHere, (socket) =>
      socket.request(`making ${plug.interfaceName} on ${parent.name}`, [
        makeMacvlan({
          parentIndex: parent.index,
          mode: modeOf(plug.network),
          name: plug.interfaceName,
          mtu: plug.network.mtu,
          namespaceFd: namespace,
          mac: plug.macAddress,
        }),
      ]),
    )
  } catch (error) {
    if (!isErrno(error, 'EEXIST') || !(await isThere(plug, parent))) throw error
  } finally {
    closeSync(namespace)
  }
  await configureInside(plug).catch(async (error: unknown) => {
    await unplugMacvlan(plug)
    throw error
  })
}

const isThere = (plug: Plug, parent: Link): Promise<boolean> =>
  withNetlink(openIn(plug.pid), async (socket) => {
    const link = await find(socket, plug.interfaceName)
    return link?.kind === 'macvlan' && link.peerIndex === parent.index
  })

/** Idempotent; of a process that has ended the kernel took it away. */
export const unplugMacvlan = (plug: Pick<Plug, 'pid' | 'interfaceName'>): Promise<void> =>
  removeLink(plug.interfaceName, openIn(plug.pid)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
