import type { Socket } from 'node:net'
import { fault } from '@berth/core'
import koffi from 'koffi'
import { movedWatches } from './inotify-records.js'
import { socketOn } from './raw-socket.js'

const libc = koffi.load('libc.so.6')
const initCall = libc.func('int inotify_init1(int flags)')
const addCall = libc.func('int inotify_add_watch(int fd, const char *path, uint32_t mask)')
const removeCall = libc.func('int inotify_rm_watch(int fd, int watch)')

const NONBLOCK_CLOEXEC = 0o2004000
const IN_MOVED_TO = 0x80
const IN_ONLYDIR = 0x01000000

/**
 * Tells when a file is renamed into one of many directories, and nothing else: `fs.watch` wakes for every byte that is written to a log.
 * One descriptor for all of them; after an overflow of the kernel's queue every directory is told.
 */
export class MoveWatch {
  private readonly fd: number
  private readonly socket: Socket
  private readonly listeners = new Map<number, () => void>()

  constructor() {
    this.fd = initCall(NONBLOCK_CLOEXEC)
    if (this.fd < 0) throw fault.internal('host.syscall', `inotify_init1: errno ${koffi.errno()}`)
    this.socket = socketOn(this.fd)
    this.socket.unref()
    this.socket.on('error', () => {})
    this.socket.on('data', (bytes: Buffer) => {
      const events = movedWatches(bytes)
      const watches = events.overflowed ? this.listeners.keys() : new Set(events.watches)
      for (const watch of [...watches]) this.listeners.get(watch)?.()
    })
  }

  /** Gives what ends it. @throws host.syscall when the directory is not there or the host's limit of watches is reached */
  add(dir: string, onMove: () => void): () => void {
    const watch = addCall(this.fd, dir, IN_MOVED_TO | IN_ONLYDIR)
    if (watch < 0) throw fault.internal('host.syscall', `inotify_add_watch on ${dir}: errno ${koffi.errno()}`)
    this.listeners.set(watch, onMove)
    return () => {
      if (this.listeners.get(watch) !== onMove) return
      this.listeners.delete(watch)
      removeCall(this.fd, watch)
    }
  }

  close(): void {
    this.listeners.clear()
    this.socket.destroy()
  }
}
