import { isErrno, NETLINK_ROUTE, NetlinkSocket, openNetlinkIn, withNetlink } from '../../../host/netlink.js'
import { decodeAddresses, type HeldAddress, listAddresses } from './address-messages.js'
import { decodeLinks, deleteLink, getLink, type Link, listLinks } from './link-messages.js'

export const openHere = (): NetlinkSocket => new NetlinkSocket(NETLINK_ROUTE)
export const openIn = (pid: number) => (): NetlinkSocket =>
  openNetlinkIn(`/proc/${pid}/ns/net`, NETLINK_ROUTE)

export async function find(socket: NetlinkSocket, name: string): Promise<Link | undefined> {
  try {
    return decodeLinks(await socket.request(`looking for ${name}`, [getLink(name)]))[0]
  } catch (error) {
    if (isErrno(error, 'ENODEV')) return undefined
    throw error
  }
}

/** By name, in this process's network namespace; /sys/class/net shows the one in which /sys was mounted, which may be another. */
export const findLink = (name: string): Promise<Link | undefined> =>
  withNetlink(openHere, (socket) => find(socket, name))

/** All links and addresses of this process's network namespace. */
export const lookAround = (): Promise<{ links: readonly Link[]; addresses: readonly HeldAddress[] }> =>
  withNetlink(openHere, async (socket) => ({
    links: decodeLinks(await socket.request('listing links', [listLinks()])),
    addresses: decodeAddresses(await socket.request('listing addresses', [listAddresses()])),
  }))

/** Idempotent. */
export const removeLink = (name: string, open = openHere): Promise<void> =>
  withNetlink(open, async (socket) => {
    const link = await find(socket, name)
    if (!link) return
    await socket.request(`removing ${name}`, [deleteLink(link.index)]).catch((error: unknown) => {
      if (!isErrno(error, 'ENODEV')) throw error
    })
  })
