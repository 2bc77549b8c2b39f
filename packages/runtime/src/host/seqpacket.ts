import { closeSync, constants, openSync } from 'node:fs'
import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { fault } from '@berth/core'
import koffi from 'koffi'
import { socketOn } from './raw-socket.js'

const libc = koffi.load('libc.so.6')
const socketCall = libc.func('int socket(int domain, int type, int protocol)')
const connectCall = libc.func('int connect(int fd, const void *address, unsigned int length)')

const AF_UNIX = 1
const SOCK_SEQPACKET = 5
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const ADDRESS_BYTES = 110
const PATH_AT = 2
const BUSY_TRIES = 200
const BUSY_PAUSE_MS = 5

/**
 * Connects to a unix socket of packets (SOCK_SEQPACKET), which node:net cannot: each `data` event is one packet, each write up to 32 KiB is
 * one. The directory may have a path of any length. @throws host.syscall when nobody listens
 */
export async function connectPackets(dir: string, name: string): Promise<Socket> {
  const dirFd = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY)
  const fd = socketCall(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  try {
    await connect(fd, `/proc/self/fd/${dirFd}/${name}`)
  } catch (error) {
    closeSync(fd)
    throw error
  } finally {
    closeSync(dirFd)
  }
  return socketOn(fd)
}

/** A listener whose queue is full answers EAGAIN, and nothing tells when there is room. */
async function connect(fd: number, path: string): Promise<void> {
  const address = Buffer.alloc(ADDRESS_BYTES)
  address.writeUInt16LE(AF_UNIX)
  address.write(path, PATH_AT)
  for (let attempt = 0; ; attempt++) {
    if (connectCall(fd, address, ADDRESS_BYTES) === 0) return
    const errno = koffi.errno()
    if (errno !== koffi.os.errno.EAGAIN || attempt === BUSY_TRIES)
      throw fault.internal('host.syscall', `connect to ${path}: errno ${errno}`)
    await pause(BUSY_PAUSE_MS)
  }
}
