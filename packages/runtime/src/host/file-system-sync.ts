import { closeSync, openSync } from 'node:fs'
import { fault } from '@berth/core'
import { syncfsLater } from './libc.js'

/**
 * Everything written to one file system, on its disk. Callers who come while a sync runs share the next one, since the running one may have
 * passed what they wrote. One barrier for a whole tree costs what the data costs; one fsync per file costs a disk flush each.
 */
export class FileSystemSync {
  private running: Promise<void> | undefined
  private next: Promise<void> | undefined

  constructor(private readonly path: string) {}

  /** @throws host.syscall with the errno */
  sync(): Promise<void> {
    if (this.next) return this.next
    if (!this.running) return this.begin()
    this.next = this.running
      .catch(() => {})
      .then(() => {
        this.next = undefined
        return this.begin()
      })
    return this.next
  }

  private begin(): Promise<void> {
    const work = this.run().finally(() => {
      if (this.running === work) this.running = undefined
    })
    this.running = work
    return work
  }

  private async run(): Promise<void> {
    const fd = openSync(this.path, 'r')
    try {
      const errno = await syncfsLater(fd)
      if (errno !== 0)
        throw fault.internal('host.syscall', `syncfs ${this.path}: errno ${errno}`, { params: { errno } })
    } finally {
      closeSync(fd)
    }
  }
}
