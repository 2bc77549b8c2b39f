import { closeSync } from 'node:fs'
import koffi from 'koffi'

const libc = koffi.load('libc.so.6')
const socketCall = libc.func('int socket(int domain, int type, int protocol)')
const setsockoptCall = libc.func(
  'int setsockopt(int fd, int level, int name, const void *value, unsigned int length)',
)
const bindCall = libc.func('int bind(int fd, const void *address, unsigned int length)')
const listenCall = libc.func('int listen(int fd, int backlog)')
const getsocknameCall = libc.func('int getsockname(int fd, _Out_ void *address, _Inout_ void *length)')

const AF_INET = 2
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
/** struct sockaddr_in */
const ADDRESS_BYTES = 16
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

/** Takes a port as a server would and gives it back at once; 0 lets the kernel choose. Synchronous, so that two probes never meet. */
export function probePort(protocol: keyof typeof KINDS, ip: string, port: number): ProbeOutcome {
  const { type, protocol: number, listens } = KINDS[protocol]
  const fd = socketCall(AF_INET, type | SOCK_CLOEXEC, number)
  if (fd < 0) return { kind: 'unsupported' }
  try {
    // Connections that are dying do not keep a server from the port; for udp the option would hide every other one.
    if (listens) setsockoptCall(fd, SOL_SOCKET, SO_REUSEADDR, Buffer.from([1, 0, 0, 0]), 4)
    if (bindCall(fd, encode(ip, port), ADDRESS_BYTES) !== 0) return refusal(koffi.errno())
    if (listens && listenCall(fd, 1) !== 0) return refusal(koffi.errno())
    return { kind: 'free', port: boundPort(fd) }
  } finally {
    closeSync(fd)
  }
}

function encode(ip: string, port: number): Buffer {
  const address = Buffer.alloc(ADDRESS_BYTES)
  address.writeUInt16LE(AF_INET, 0)
  address.writeUInt16BE(port, 2)
  address.set(ip.split('.').map(Number), 4)
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
  const address = Buffer.alloc(ADDRESS_BYTES)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(ADDRESS_BYTES)
  getsocknameCall(fd, address, length)
  return address.readUInt16BE(2)
}
