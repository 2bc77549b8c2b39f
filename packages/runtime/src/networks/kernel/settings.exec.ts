import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { inNetworkNamespace } from '../../host/network-namespace.js'
import type { HostNetwork } from '../host-view.js'
import { familyOf } from './address.js'

/** What only /proc/sys/net can say, in the network namespace of this thread. A kernel without IPv6 has no files for it, which is fine. */
function set(path: string, value: 0 | 1 | 2): void {
  try {
    writeFileSync(`/proc/sys/net/${path}`, `${value}`)
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT'
    if (!isAbsent || !path.startsWith('ipv6/')) throw error
  }
}

const read = (path: string): string => {
  try {
    return readFileSync(`/proc/sys/net/${path}`, 'utf8').trim()
  } catch {
    return ''
  }
}

const hasIpv6 = (addresses: readonly { readonly ip: string }[]): boolean =>
  addresses.some(({ ip }) => familyOf(ip) === 6)

/** Before the link comes up, so that the kernel makes no address and hears no router that nobody asked for. */
function setIpv6(link: string, isWanted: boolean): void {
  set(`ipv6/conf/${link}/disable_ipv6`, isWanted ? 0 : 1)
  if (!isWanted) return
  set(`ipv6/conf/${link}/accept_ra`, 0)
  set(`ipv6/conf/${link}/accept_dad`, 0)
}

/**
 * What comes in by an internal network's bridge is forwarded nowhere, whatever the packet rules say or while there are none.
 * `route_localnet` lets the host's loopback reach published ports; `guard` drops what comes for it from elsewhere.
 */
export function setBridgeSettings({ link, addresses, isInternal }: HostNetwork): void {
  setIpv6(link, hasIpv6(addresses))
  set(`ipv4/conf/${link}/forwarding`, isInternal ? 0 : 1)
  set(`ipv4/conf/${link}/route_localnet`, isInternal ? 0 : 1)
}

/** The interface inside, of the namespace that the process is in. */
export const setInsideSettings = (
  pid: number,
  name: string,
  addresses: readonly { readonly ip: string }[],
): void => inNetworkNamespace(`/proc/${pid}/ns/net`, () => setIpv6(name, hasIpv6(addresses)))

/** Neighbours the kernel remembers at most, in all network namespaces together; 1,024 unless somebody gave it more. */
const NEIGHBOURS = { gc_thresh1: 4_096, gc_thresh2: 16_384, gc_thresh3: 32_768 }

/** Makes room for the neighbours of some thousand containers, where this is the host's own namespace; never takes any. */
function raiseNeighbours(): void {
  for (const [name, value] of Object.entries(NEIGHBOURS).reverse()) {
    const path = `ipv4/neigh/default/${name}`
    const now = read(path)
    if (now !== '' && Number(now) < value) writeFileSync(`/proc/sys/net/${path}`, `${value}`)
  }
}

/** The host answers for the addresses behind other cables, at once (ADR 9). */
export function setRoutedSettings(bridge: string, cable: string): void {
  raiseNeighbours()
  for (const link of [bridge, cable]) {
    set(`ipv4/conf/${link}/proxy_arp`, 1)
    set(`ipv4/neigh/${link}/proxy_delay`, 0)
    set(`ipv4/conf/${link}/forwarding`, 1)
  }
  set(`ipv4/conf/${cable}/route_localnet`, 1)
  set(`ipv6/conf/${cable}/disable_ipv6`, 1)
}

/**
 * The host becomes a router; only once the packet rules stand. A host that forwards IPv6 no longer hears its own router unless told to
 * (accept_ra 2), and would lose its default route.
 */
export function enableForwarding(withIpv6: boolean): void {
  if (read('ipv4/ip_forward') !== '1') set('ipv4/ip_forward', 1)
  if (!withIpv6 || read('ipv6/conf/all/forwarding') === '1') return
  for (const link of readdirSync('/proc/sys/net/ipv6/conf'))
    if (read(`ipv6/conf/${link}/accept_ra`) === '1') set(`ipv6/conf/${link}/accept_ra`, 2)
  set('ipv6/conf/all/forwarding', 1)
}
