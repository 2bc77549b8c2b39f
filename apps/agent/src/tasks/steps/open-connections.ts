/** States (include/net/tcp_states.h) in which the other end still waits for something of ours: established, being accepted, answered but not acknowledged. */
const UNFINISHED = new Set(['01', '03', '04', '08', '09', '0B', '0C'])

/** How many connections to these local ports are not finished, from the text of /proc/PID/net/tcp or tcp6. Pure. */
export function unfinishedConnections(table: string, ports: ReadonlySet<number>): number {
  const isOpen = (line: string): boolean => {
    const [, local = '', , state = ''] = line.trim().split(/\s+/)
    return UNFINISHED.has(state) && ports.has(Number.parseInt(local.split(':')[1] ?? '', 16))
  }
  return table.split('\n').slice(1).filter(isOpen).length
}
