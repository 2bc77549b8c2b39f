import { readFileSync, statSync } from 'node:fs'
import { isIP } from 'node:net'

/** glibc's own bound (resolv.conf(5), MAXNS). */
const SERVERS_MAX = 3

/** The servers that a resolv.conf names. Pure. */
export const parseResolvers = (text: string): readonly string[] =>
  text
    .split('\n')
    .flatMap((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? [])
    .filter((server) => isIP(server.split('%')[0] ?? '') !== 0)
    .slice(0, SERVERS_MAX)

/** Those of the host, read anew when its file changes (a laptop that moves, a VPN): its own loopback resolver is among them, since they are asked from the host. */
export function hostResolvers(path = '/etc/resolv.conf'): () => readonly string[] {
  let read: { readonly stamp: string; readonly servers: readonly string[] } | undefined
  return () => {
    try {
      const { mtimeMs, ino, size } = statSync(path)
      const stamp = `${mtimeMs} ${ino} ${size}`
      if (read?.stamp !== stamp) read = { stamp, servers: parseResolvers(readFileSync(path, 'utf8')) }
    } catch {
      read = undefined
    }
    return read?.servers ?? []
  }
}
