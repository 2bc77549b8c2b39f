import type { Socket } from 'node:net'
import { fault } from '@berth/core'
import type { Attachment, AttachOptions, OutputChunk } from '../api.js'
import { connectPackets } from '../host/seqpacket.js'
import { type BACKLOG_LIMITS, Backlog } from './backlog.store.js'
import { Listener } from './listener.exec.js'
import { inputPackets, readPacket } from './packets.js'

/** A reader that is full and takes nothing for so long is cut off, so that it cannot hold the container up. */
const STALLED_MS = 30_000

export interface ConsoleOptions {
  /** In messages. */
  readonly name: string
  /** Where backlogs of slow readers are written. */
  readonly backlogDir: string
  readonly acceptsInput: boolean
  /** Whether the program's stdin ends when one who was attached to it leaves or ends it. */
  readonly endsInput: boolean
  readonly stalledMs?: number
  readonly backlogLimits?: typeof BACKLOG_LIMITS
}

/**
 * The streams of one run of one program. All who attach share one connection to its monitor, because the monitor keeps a descriptor for every
 * connection until the program writes again, and because it waits for the slowest one: we always read, and keep for each reader what it has
 * not taken yet, in memory and then in a file.
 */
export class Console {
  private readonly listeners = new Set<Listener>()
  private socket: Socket | undefined
  private dir: string | undefined
  private connecting: Promise<void> | undefined
  private inputTurn: Promise<void>
  private readonly opened = Promise.withResolvers<void>()
  private isInputOver = false
  private isOver = false
  private stallTimer: NodeJS.Timeout | undefined

  constructor(private readonly options: ConsoleOptions) {
    this.inputTurn = this.opened.promise
  }

  /** Whether there is, or was, a program behind it. */
  get isOpen(): boolean {
    return this.dir !== undefined
  }

  /** The program's monitor listens in this directory from now on. Idempotent. @throws host.syscall */
  async open(dir: string): Promise<void> {
    this.dir = dir
    if (this.listeners.size > 0) await this.connect()
    this.opened.resolve()
  }

  /** It never runs, or no longer: everyone is told that the output has ended. */
  drop(): void {
    this.isOver = true
    this.isInputOver = true
    this.opened.resolve()
    for (const listener of this.listeners) listener.end()
    this.socket?.destroy()
  }

  /** @throws host.syscall when the monitor does not answer */
  async attach(options: AttachOptions = {}): Promise<Attachment> {
    const listener = this.listen(options)
    if (this.isOver) listener.end()
    else if (this.dir !== undefined) await this.connect()
    return this.attachment(listener, options)
  }

  private listen(options: AttachOptions): Listener {
    const wants = ({ stream }: OutputChunk) => options[stream] !== false
    const listener: Listener = new Listener(
      new Backlog(this.options.backlogDir, this.options.backlogLimits),
      wants,
      {
        onTake: () => this.stallTimer && this.relieve(),
        onClose: () => {
          this.listeners.delete(listener)
          this.relieve()
        },
      },
    )
    this.listeners.add(listener)
    return listener
  }

  private attachment(listener: Listener, options: AttachOptions): Attachment {
    const hasInput = this.options.acceptsInput && options.stdin !== false
    let isEnded = !hasInput
    const endInput = () => {
      if (isEnded) return
      isEnded = true
      if (this.options.endsInput) this.endInput()
    }
    const close = () => {
      endInput()
      listener.close()
    }
    listener.onLeave = () => options.signal?.removeEventListener('abort', close)
    options.signal?.addEventListener('abort', close)
    if (options.signal?.aborted) close()
    return {
      output: listener.read(),
      write: (bytes) => (isEnded ? Promise.resolve() : this.write(bytes)),
      endInput,
      close,
    }
  }

  // ---- input ------------------------------------------------------------------------------------

  private write(bytes: Uint8Array): Promise<void> {
    this.inputTurn = this.inputTurn.then(async () => {
      for (const packet of inputPackets(bytes)) await this.send(packet)
    })
    return this.inputTurn
  }

  private async send(packet: Uint8Array): Promise<void> {
    if (this.isInputOver) return
    if (!this.socket) await this.connect().catch(() => {})
    const { socket } = this
    if (!socket || socket.destroyed) return
    // A socket that is destroyed while a write waits calls back too, with an error: a closed stdin swallows.
    await new Promise<void>((resolve) => socket.write(packet, () => resolve()))
  }

  private endInput(): void {
    this.inputTurn = this.inputTurn.then(async () => {
      if (!this.isInputOver && !this.socket) await this.connect().catch(() => {})
      this.isInputOver = true
      this.socket?.end()
    })
  }

  // ---- output -----------------------------------------------------------------------------------

  private connect(): Promise<void> {
    this.connecting ??= this.openSocket().catch((error: unknown) => {
      this.connecting = undefined
      throw error
    })
    return this.connecting
  }

  private async openSocket(): Promise<void> {
    const { dir } = this
    if (dir === undefined || this.isOver) return
    const socket = await connectPackets(dir, 'attach')
    this.socket = socket
    socket.on('error', () => {})
    socket.on('data', (packet: Buffer) => this.hear(packet))
    socket.on('close', () => {
      if (this.socket === socket) this.finish()
    })
    socket.on('end', () => {
      socket.destroy()
    })
  }

  private hear(packet: Buffer): void {
    if (this.listeners.size === 0) return this.hangUp()
    const chunk = readPacket(packet)
    if (!chunk) return
    for (const listener of this.listeners) {
      try {
        listener.push(chunk)
      } catch (cause) {
        listener.fail(this.tooSlow('the disk has no room for what it is behind', cause))
      }
    }
    this.relieve()
  }

  /** Nobody listens any more. The monitor learns of it with its next write, which lets it close its end. */
  private hangUp(): void {
    const { socket } = this
    this.socket = undefined
    this.connecting = undefined
    socket?.destroy()
  }

  private finish(): void {
    this.isOver = true
    this.isInputOver = true
    clearTimeout(this.stallTimer)
    for (const listener of this.listeners) listener.end()
  }

  // ---- slow readers -----------------------------------------------------------------------------

  /** Reads on while everyone has room, and waits a while for who has not. */
  private relieve(): void {
    const full = [...this.listeners].filter((listener) => listener.isFull)
    if (full.length === 0) {
      clearTimeout(this.stallTimer)
      this.stallTimer = undefined
      if (this.socket?.isPaused()) this.socket.resume()
    } else if (!this.stallTimer) {
      this.socket?.pause()
      this.watchStall(full)
    }
  }

  private watchStall(full: readonly Listener[]): void {
    const before = new Map(full.map((listener) => [listener, listener.takenCount]))
    this.stallTimer = setTimeout(() => {
      this.stallTimer = undefined
      for (const [listener, taken] of before)
        if (listener.isFull && listener.takenCount === taken)
          listener.fail(this.tooSlow('its reader has taken nothing for a while'))
      this.relieve()
    }, this.options.stalledMs ?? STALLED_MS)
  }

  private tooSlow(why: string, cause?: unknown) {
    return fault.resourceExhausted(
      'attach.reader_too_slow',
      `the output of ${this.options.name} is not followed any more: ${why}`,
      { cause },
    )
  }
}
