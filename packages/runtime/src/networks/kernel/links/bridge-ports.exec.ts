import { withNetlink } from '../../../host/netlink.js'
import { openHere } from './find-link.exec.js'
import { decodeLinks, type Link, listPorts } from './link-messages.js'

/**
 * A broadcast (each ARP question) on a bridge is one frame per port in a queue that holds 1,000 by default (net.core.netdev_max_backlog).
 * Beyond that, frames and the answers behind them are lost: at 1,023 ports the oldest containers do not reach their gateway (measured, ADR 9).
 * Half of it leaves room for two at a time.
 */
export const CROWD = 500
/** Of plugs for which a crowded bridge is taken to be so still, since counting takes longer than plugging in. */
const RECOUNT_AFTER = 32

/** How many ports the bridges have: counted here, and in the kernel when it matters, since cables go with their containers. */
export class BridgePorts {
  private readonly counts = new Map<number, { ports: number; trusted: number }>()

  /** Whether one more should not be a port; when not, it is counted as one. */
  async isCrowded(bridge: Link): Promise<boolean> {
    const count = this.counts.get(bridge.index) ?? { ports: CROWD, trusted: 0 }
    this.counts.set(bridge.index, count)
    if (count.ports >= CROWD && count.trusted-- <= 0) {
      count.trusted = RECOUNT_AFTER
      count.ports = await countPorts(bridge)
    }
    if (count.ports >= CROWD) return true
    count.ports += 1
    return false
  }
}

const countPorts = (bridge: Link): Promise<number> =>
  withNetlink(openHere, async (socket) => {
    const answers = await socket.request(`counting the ports of ${bridge.name}`, [listPorts(bridge.index)])
    return decodeLinks(answers).filter(({ masterIndex }) => masterIndex === bridge.index).length
  })
