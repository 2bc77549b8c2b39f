import { closeSync } from 'node:fs'
import { fault } from '@berth/core'
import koffi from 'koffi'
import { inNetworkNamespace } from './network-namespace.js'

const libc = koffi.load('libc.so.6')
const socketCall = libc.func('int socket(int domain, int type, int protocol)')
const bindCall = libc.func('int bind(int fd, const void *address, unsigned int length)')
const getsocknameCall = libc.func(
  'int getsockname(int fd, _Out_ void *address, _Inout_ unsigned int *length)',
)

const AF_INET = 2
const AF_INET6 = 10
const KINDS = { udp: 2, tcp: 1 } as const
const NONBLOCK_CLOEXEC = 0o2004000
const ADDRESS_BYTES = 16

export interface BoundSocket {
  readonly fd: number
  readonly port: number
}

const failed = (what: string) => fault.internal('host.syscall', `${what}: errno ${koffi.errno()}`)

/** Sockets at free ports of an IPv4 address in another network namespace, given by path; they stay in it and keep it alive. All or none. @throws host.netlink, host.syscall */
export function bindIn(
  namespace: string,
  ip: string,
  kinds: readonly (keyof typeof KINDS)[],
): readonly BoundSocket[] {
  const bound: BoundSocket[] = []
  try {
    inNetworkNamespace(namespace, () => {
      for (const kind of kinds) bound.push(bindOne(ip, KINDS[kind]))
    })
    return bound
  } catch (error) {
    for (const { fd } of bound) closeSync(fd)
    throw error
  }
}

/** A socket in another network namespace that is not bound yet. @throws host.netlink, host.syscall */
export const socketIn = (namespace: string, kind: keyof typeof KINDS, family: 4 | 6): number =>
  inNetworkNamespace(namespace, () => openSocket(KINDS[kind], family === 4 ? AF_INET : AF_INET6))

function openSocket(type: number, domain: number): number {
  const fd = socketCall(domain, type | NONBLOCK_CLOEXEC, 0)
  if (fd < 0) throw failed('opening a socket in a container')
  return fd
}

function bindOne(ip: string, type: number): BoundSocket {
  const fd = openSocket(type, AF_INET)
  const address = Buffer.alloc(ADDRESS_BYTES)
  address.writeUInt16LE(AF_INET, 0)
  address.set(ip.split('.').map(Number), 4)
  const isBound =
    bindCall(fd, address, ADDRESS_BYTES) === 0 && getsocknameCall(fd, address, [ADDRESS_BYTES]) === 0
  if (isBound) return { fd, port: address.readUInt16BE(2) }
  const error = failed(`binding to ${ip} in a container`)
  closeSync(fd)
  throw error
}
