import { isErrno, NETLINK_NETFILTER, NetlinkSocket } from '../../../host/netlink.js'
import { runNftables } from '../../../host/nftables.js'
import { decodeGeneration, decodeTableHandle, getGeneration, getTable } from './table-messages.js'

/** The handle of a table of packet rules, which changes when somebody makes it anew; undefined when it is not there. */
export function findTable(name: string): bigint | undefined {
  const socket = new NetlinkSocket(NETLINK_NETFILTER)
  try {
    return decodeTableHandle(socket.ask(`looking for table ${name}`, [getTable(name)]))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  } finally {
    socket.close()
  }
}

/** Grows by one with each transaction of packet rules, whoever makes it. */
export function currentGeneration(): number {
  const socket = new NetlinkSocket(NETLINK_NETFILTER)
  try {
    return (
      decodeGeneration(socket.ask('asking for the generation of the packet rules', [getGeneration()])) ?? 0
    )
  } finally {
    socket.close()
  }
}

/** One transaction: all of it or nothing. @throws host.nftables, host.program_missing */
export const applyRules = (rules: string): Promise<void> => runNftables(rules)
