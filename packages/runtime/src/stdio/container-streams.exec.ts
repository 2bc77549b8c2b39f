import { existsSync } from 'node:fs'
import { type ContainerId, fault, type Logger } from '@berth/core'
import type { Attachment, AttachOptions, ConsoleSize, ContainerSpec, LogEntry, LogOptions } from '../api.js'
import type { ConmonStreams } from '../containers/conmon-args.js'
import type { ContainerRow } from '../containers/containers.store.js'
import type { ContainerPaths } from '../containers/paths.js'
import { LogKeeper, logBounds } from '../logs/log-keeper.exec.js'
import { readLogs } from '../logs/logs.store.js'
import { Console, type ConsoleOptions } from './console.exec.js'
import { resizeThrough } from './resize.exec.js'

/**
 * What containers read and write: one console for each run that somebody attached to, and their logs. A console may be made before the run
 * (`docker run` attaches first); the run then waits with its first instruction until the console is connected.
 */
export class ContainerStreams {
  private readonly consoles = new Map<ContainerId, Console>()
  private readonly keeper: LogKeeper

  constructor(logger: Logger) {
    this.keeper = new LogKeeper(logger)
  }

  /** A run is about to begin: what its monitor shall do. */
  prepare(row: ContainerRow, paths: ContainerPaths): ConmonStreams {
    const { tty = false, openStdin = false } = row.spec
    const bounds = logBounds(row.spec.log)
    if (bounds) this.keeper.prepare(row.id, paths.log, bounds)
    return {
      terminal: tty,
      stdin: openStdin,
      leaveStdinOpen: openStdin && !endsInput(row.spec),
      log: bounds && { path: paths.log, maxBytes: bounds.maxBytes },
    }
  }

  /** The run's monitor is there and its program has not begun. @throws host.syscall */
  async begin(row: ContainerRow, paths: ContainerPaths): Promise<void> {
    await this.consoles.get(row.id)?.open(paths.bundle)
  }

  /** A run that was there before we were. */
  adopt(row: ContainerRow, paths: ContainerPaths): void {
    const bounds = logBounds(row.spec.log)
    if (bounds) this.keeper.adopt(row.id, paths.log, bounds)
  }

  /** The run has ended: those attached get the rest. Who attached for the next run stays. Idempotent. */
  settle(id: ContainerId, paths: ContainerPaths): void {
    this.keeper.settle(id, paths.log)
    if (this.consoles.get(id)?.isOpen) this.consoles.delete(id)
  }

  /** The container is gone. Idempotent. */
  forget(id: ContainerId): void {
    this.consoles.get(id)?.drop()
    this.consoles.delete(id)
  }

  /** @throws container.paused, host.syscall */
  async attach(row: ContainerRow, paths: ContainerPaths, options: AttachOptions = {}): Promise<Attachment> {
    if (row.state === 'paused')
      throw fault.failedPrecondition(
        'container.paused',
        `container ${row.spec.name} is paused: unpause it before attaching`,
      )
    const console = this.consoleOf(row, paths)
    if (row.state === 'running') await console.open(paths.bundle)
    return console.attach(options)
  }

  private consoleOf(row: ContainerRow, paths: ContainerPaths): Console {
    const known = this.consoles.get(row.id)
    // Its monitor has written the exit code after the last output: that console is of the run before.
    const isOfLastRun = known?.isOpen && row.state !== 'running' && existsSync(paths.exitFile)
    if (known && !isOfLastRun) return known
    const made = new Console(consoleOptions(row, paths))
    this.consoles.set(row.id, made)
    return made
  }

  /** @throws container.not_running, stdio.size_invalid */
  async resize(row: ContainerRow, paths: ContainerPaths, size: ConsoleSize): Promise<void> {
    if (row.state !== 'running' && row.state !== 'paused')
      throw fault.failedPrecondition('container.not_running', `container ${row.spec.name} is not running`)
    if (row.spec.tty) await resizeThrough(paths.bundle, size)
  }

  /** @throws logs.not_kept */
  logs(
    row: ContainerRow,
    paths: ContainerPaths,
    options: LogOptions,
    isOver: () => boolean,
    ended: (signal: AbortSignal) => Promise<unknown>,
  ): AsyncIterable<LogEntry> {
    if (!logBounds(row.spec.log))
      throw fault.unimplemented('logs.not_kept', 'configured logging driver does not support reading')
    return readLogs(paths.log, options, isOver, ended)
  }

  /** Containers run on; everyone attached is told that it is over for now. */
  close(): void {
    this.keeper.close()
    for (const console of this.consoles.values()) console.drop()
    this.consoles.clear()
  }
}

/** With a terminal there is nothing to end: its other side is the same as its output. */
const endsInput = (spec: ContainerSpec): boolean => (spec.stdinOnce ?? false) && !spec.tty

const consoleOptions = ({ spec }: ContainerRow, paths: ContainerPaths): ConsoleOptions => ({
  name: `container ${spec.name}`,
  backlogDir: paths.dir,
  acceptsInput: spec.openStdin ?? false,
  endsInput: endsInput(spec),
})
