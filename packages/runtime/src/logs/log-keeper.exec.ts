import { dirname } from 'node:path'
import type { ContainerId, Logger } from '@berth/core'
import type { LogSpec } from '../api.js'
import { MoveWatch } from '../host/inotify.js'
import { keepLog, prepareLog, settleLog } from './log-files.store.js'

const MAX_BYTES = 10 * 1024 * 1024
const FILES_MAX = 3
/** A record is at most a read of 8 KiB: below this a file would hold hardly any. */
const MAX_BYTES_LEAST = 32 * 1024

export interface LogBounds {
  readonly maxBytes: number
  readonly filesMax: number
}

/** How much of a container's log is kept; undefined when nothing is. */
export function logBounds(spec: LogSpec | undefined): LogBounds | undefined {
  if (spec?.driver === 'none') return undefined
  const { maxBytes = MAX_BYTES, filesMax = FILES_MAX } = spec ?? {}
  return { maxBytes: Math.max(MAX_BYTES_LEAST, maxBytes), filesMax: Math.max(1, filesMax) }
}

/**
 * Keeps rotated log files of running containers, as many as their specs want. The monitors rotate on their own, also while no agent runs:
 * then up to two files more are kept, and what is older is dropped.
 */
export class LogKeeper {
  private readonly moves = new MoveWatch()
  private readonly stops = new Map<ContainerId, () => void>()

  constructor(private readonly logger: Logger) {}

  /** Before a run. */
  prepare(id: ContainerId, log: string, bounds: LogBounds): void {
    prepareLog(log, bounds.filesMax, bounds.maxBytes)
    this.watch(id, log, bounds)
  }

  /** A run that was there before we were. */
  adopt(id: ContainerId, log: string, bounds: LogBounds): void {
    this.watch(id, log, bounds)
    this.keep(log, bounds)
  }

  /** After a run. Idempotent. */
  settle(id: ContainerId, log: string): void {
    this.stops.get(id)?.()
    this.stops.delete(id)
    settleLog(log)
  }

  close(): void {
    this.moves.close()
    this.stops.clear()
  }

  private watch(id: ContainerId, log: string, bounds: LogBounds): void {
    this.stops.set(
      id,
      this.moves.add(dirname(log), () => this.keep(log, bounds)),
    )
  }

  private keep(log: string, { filesMax }: LogBounds): void {
    try {
      keepLog(log, filesMax)
    } catch (error) {
      this.logger.warn({ log, error: String(error) }, 'a rotated log could not be kept')
    }
  }
}
