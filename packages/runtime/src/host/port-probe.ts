import { closeSync } from 'node:fs'
import koffi from 'koffi'
import { addressBytes, familyOf } from '../networks/kernel/address.js'

const libc = koffi.load('libc.so.6')
const socketCall = libc.func('int socket(int domain, int type, int protocol)')
const setsockoptCall = libc.func(
  'int setsockopt(int fd, int level, int name, const void *value, unsigned int length)',
)
const bindCall = libc.func('int bind(int fd, const void *address, unsigned int length)')
const listenCall = libc.func('int listen(int fd, int backlog)')
const getsocknameCall = libc.func('int getsockname(int fd, _Out_ void *address, _Inout_ void *length)')

const AF_INET = 2
const AF_INET6 = 10
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
/** struct sockaddr_in, struct sockaddr_in6 */
const ADDRESS_BYTES = { 4: 16, 6: 28 } as const
const ON = Buffer.from([1, 0, 0, 0])
const KINDS = {
  tcp: { type: 1, protocol: 6, listens: true },
  udp: { type: 2, protocol: 17, listens: false },
  sctp: { type: 1, protocol: 132, listens: true },
} as const

export type ProbeOutcome =
  | { readonly kind: 'free'; readonly port: number }
  | { readonly kind: 'taken' }
  /** No interface of this host has the address. */
  | { readonly kind: 'address_missing' }
  /** The kernel has no such sockets, so no program can have one. */
  | { readonly kind: 'unsupported' }
  | { readonly kind: 'refused'; readonly errno: string }

/**
 * Takes a port as a server would and gives it back at once; 0 lets the kernel choose. In IPv6 that address alone, without its IPv4 side.
 * Synchronous, so that two probes never meet.
 */
export function probePort(protocol: keyof typeof KINDS, ip: string, port: number): ProbeOutcome {
  const { type, protocol: number, listens } = KINDS[protocol]
  const family = familyOf(ip)
  const fd = socketCall(family === 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, number)
  if (fd < 0) return { kind: 'unsupported' }
  try {
    // Connections that are dying do not keep a server from the port; for udp the option would hide every other one.
    if (listens) setsockoptCall(fd, SOL_SOCKET, SO_REUSEADDR, ON, ON.length)
    if (family === 6) setsockoptCall(fd, IPPROTO_IPV6, IPV6_V6ONLY, ON, ON.length)
    if (bindCall(fd, encode(ip, port), ADDRESS_BYTES[family]) !== 0) return refusal(koffi.errno())
    if (listens && listenCall(fd, 1) !== 0) return refusal(koffi.errno())
    return { kind: 'free', port: boundPort(fd) }
  } finally {
    closeSync(fd)
  }
}

function encode(ip: string, port: number): Buffer {
  const family = familyOf(ip)
  const address = Buffer.alloc(ADDRESS_BYTES[family])
  address.writeUInt16LE(family === 4 ? AF_INET : AF_INET6, 0)
  address.writeUInt16BE(port, 2)
  address.set(addressBytes(ip), family === 4 ? 4 : 8)
  return address
}

function refusal(errno: number): ProbeOutcome {
  const { EADDRINUSE, EADDRNOTAVAIL } = koffi.os.errno
  if (errno === EADDRINUSE) return { kind: 'taken' }
  if (errno === EADDRNOTAVAIL) return { kind: 'address_missing' }
  const name = Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0]
  return { kind: 'refused', errno: name ?? String(errno) }
}

function boundPort(fd: number): number {
  const address = Buffer.alloc(ADDRESS_BYTES[6])
  const length = Buffer.alloc(4)
  length.writeUInt32LE(address.length)
  getsocknameCall(fd, address, length)
  return address.readUInt16BE(2)
}
