import { isErrno, NETLINK_NETFILTER, NetlinkSocket } from '../host/netlink.js'
import { mustRun } from '../host/process.exec.js'
import { decodeTableHandle, getTable } from './table-messages.js'

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

/** One transaction: all of it or nothing. */
export const applyRules = async (rules: string): Promise<void> => {
  await mustRun('nft', ['-f', '-'], { input: rules })
}
