import { NETLINK_NETFILTER, openNetlinkIn, withNetlink } from '../host/netlink.js'
import { type RedirectPorts, redirectMessages, TRANSACTION } from './redirect-messages.js'

/** Leads port 53 of the name server's address to these ports in the namespace, given by path. Idempotent. @throws host.netlink */
export const redirect = (namespace: string, ports: RedirectPorts): Promise<void> =>
  withNetlink(
    () => openNetlinkIn(namespace, NETLINK_NETFILTER),
    (socket) => socket.transact('leading port 53 to the name server', TRANSACTION, redirectMessages(ports)),
  )
