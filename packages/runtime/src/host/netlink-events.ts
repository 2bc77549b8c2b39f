import { closeSync } from 'node:fs'
import { fault } from '@berth/core'
import koffi from 'koffi'
import { decodeMessages, type NetlinkAnswer } from './netlink-message.js'
import { socketOn } from './raw-socket.js'

const libc = koffi.load('libc.so.6')
const socketCall = libc.func('int socket(int domain, int type, int protocol)')
const bindCall = libc.func('int bind(int fd, const void *address, unsigned int length)')
const setsockoptCall = libc.func(
  'int setsockopt(int fd, int level, int name, const void *value, unsigned int length)',
)

const AF_NETLINK = 16
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0o2004000
const SOL_NETLINK = 270
const NETLINK_ADD_MEMBERSHIP = 1
const SOL_SOCKET = 1
const SO_RCVBUFFORCE = 33
/** Of the kernel's queue: some thousand messages, so that a large transaction of others fits. */
const QUEUE_BYTES = 4 * 1024 * 1024

export interface NetlinkListener {
  onMessages(messages: readonly NetlinkAnswer[]): void
  /** The kernel dropped messages, or the socket broke: anything may have happened. Nothing more comes. */
  onLoss(): void
}

const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

/** Listens to what the kernel tells everybody (multicast groups of rtnetlink, nfnetlink) in this thread's network namespace; the event loop reads. Gives what ends it. @throws host.netlink */
export function listenToKernel(
  protocol: number,
  groups: readonly number[],
  listener: NetlinkListener,
): () => void {
  const socket = socketOn(openGroups(protocol, groups))
  socket.unref()
  let isOver = false
  const lose = () => {
    if (isOver) return
    isOver = true
    socket.destroy()
    listener.onLoss()
  }
  socket.on('data', (datagram: Buffer) => {
    try {
      listener.onMessages(decodeMessages(datagram))
    } catch {
      lose()
    }
  })
  socket.on('error', lose)
  socket.on('close', lose)
  return () => {
    isOver = true
    socket.destroy()
  }
}

function openGroups(protocol: number, groups: readonly number[]): number {
  const fd = socketCall(AF_NETLINK, SOCK_RAW_NONBLOCK_CLOEXEC, protocol)
  if (fd < 0) throw refused('opening', koffi.errno())
  const address = Buffer.alloc(12)
  address.writeUInt16LE(AF_NETLINK, 0)
  setsockoptCall(fd, SOL_SOCKET, SO_RCVBUFFORCE, number(QUEUE_BYTES), 4)
  const isReady =
    bindCall(fd, address, address.length) === 0 &&
    groups.every((group) => setsockoptCall(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, number(group), 4) === 0)
  if (isReady) return fd
  const errno = koffi.errno()
  closeSync(fd)
  throw refused('joining the groups of', errno)
}

const refused = (what: string, errno: number) =>
  fault.internal('host.netlink', `${what} a netlink socket for events: errno ${errno}`)
